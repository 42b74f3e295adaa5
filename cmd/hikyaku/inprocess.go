package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"hikyaku/internal/locale"
)

// inProcess runs a command within this process as a person types it, and returns what it
// printed: a console.Runner.
func inProcess(ctx context.Context, stdin []byte, args ...string) (json.RawMessage, error) {
	var out bytes.Buffer
	code := runWith(ctx, args, stdio{in: bytes.NewReader(stdin), out: &out, err: io.Discard, language: locale.English})
	if code != 0 {
		return out.Bytes(), fmt.Errorf("the command ended with exit code %d", code)
	}
	return out.Bytes(), nil
}

// withFlags adds to a command's arguments those of the flags that the command has.
func withFlags(args []string, flags [][2]string) []string {
	found, rest, err := newRoot().Find(args)
	if err != nil {
		return args
	}
	has := func(name string) bool { return found.Flags().Lookup(name) != nil }
	for _, flag := range flags {
		if flag[1] != "" && has(flag[0]) && !given(found, rest, flag[0]) {
			args = append(args[:len(args):len(args)], "--"+flag[0], flag[1])
		}
	}
	return args
}

// given reports whether the arguments of a command set a flag already.
func given(c *cobra.Command, rest []string, name string) bool {
	return c.ParseFlags(rest) == nil && c.Flags().Changed(name)
}
