package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// What the Makefile links into the binary (-X): the line of VERSION, and the
// commit, which ends in -changed where files differ from it.
var (
	version string
	commit  string
)

// changed ends the commit of a binary whose source differed from it.
const changed = "-changed"

// build is what is known of how the binary was made.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from files that differ from the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild prefers what the Makefile linked in. A binary of plain 'go build' has
// neither; there the Go command may have noted the commit, and has no version but
// one that it derives from it.
func readBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	b.Commit, b.Modified = strings.CutSuffix(commit, changed)
	info, ok := debug.ReadBuildInfo()
	if ok && b.Commit == "" {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	if ok && b.Version == "" {
		b.Version = info.Main.Version
	}
	b.Version = cmp.Or(b.Version, "(devel)")
	return b
}

// String is the build in one line, without the name of the command.
func (b build) String() string {
	made := "unknown commit"
	if b.Commit != "" {
		made = "commit " + b.Commit
	}
	if b.Modified {
		made += " with changes"
	}
	return fmt.Sprintf("%s (%s, %s, %s)", b.Version, made, b.Go, b.Platform)
}

func newVersion() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go release it was built with",
		Long: "Prints the version, the commit that the binary was built from, and the Go release that built it, as\n" +
			"'hikyaku --version' does. A binary of 'make install' or of a release knows all of them; one of plain\n" +
			"'go build' or 'go run' says (devel), or what the Go command made of the commit.",
		Example: "  hikyaku version\n  hikyaku version --json",
		RunE:    func(c *cobra.Command, _ []string) error { return sayVersion(c) },
	}
	o.add(c)
	return c
}

// sayVersion prints what --version does, too.
func sayVersion(c *cobra.Command) error {
	b := readBuild()
	o := output{asked(c, "json")}
	return o.say(c, b, "hikyaku %s", b.String())
}
