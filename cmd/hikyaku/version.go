package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the Go toolchain stamped into the binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func newVersion() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go release it was built with",
		Long: "Prints what the Go toolchain stamped into the binary. A binary built outside a repository, or from\n" +
			"changed files, says so.",
		Example: "  hikyaku version\n  hikyaku version --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b := readBuild()
			return o.say(c, b, "hikyaku %s %s (%s, %s)", b.Version, b.Revision, b.Go, b.Platform)
		},
	}
	o.add(c)
	return c
}
