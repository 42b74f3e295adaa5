package main

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/published"
)

// A shownMapping is what 'mapping show' answers.
type shownMapping struct {
	Digest    string `json:"digest"`
	Published bool   `json:"published"`
	At        string `json:"at,omitempty"`
	By        string `json:"by,omitempty"`
	Why       string `json:"why,omitempty"`
	Source    string `json:"source"`
}

func newMappingShow() *cobra.Command {
	var f stackFlags
	var o output
	var digest string
	c := &cobra.Command{
		Use:   "show",
		Short: "Print the mapping that counts, or one that did",
		Long: "Prints the text of the mapping that was published last, which the relay works by. Where none was published,\n" +
			"it is that of HIKYAKU_MAPPING_FILE, if the file is on this machine. With --at it prints one that was\n" +
			"published before, by its digest or the first characters of it, which 'mapping log' lists.\n\n" +
			"With --json: digest, published, at, by, why, and source, the text.",
		Example: "  hikyaku mapping show --stack hikyaku > mapping.yaml\n  hikyaku mapping show --at 3f0c5b1a9d22 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			shown, err := showMapping(c, &f, digest)
			if err != nil {
				return err
			}
			return o.print(c, shown, func(out io.Writer) error {
				_, err := io.WriteString(out, shown.Source)
				return err
			})
		},
	}
	f.add(c)
	o.add(c)
	c.Flags().StringVar(&digest, "at", "", "digest, or its first characters, of a mapping that was published")
	return c
}

func showMapping(c *cobra.Command, f *stackFlags, digest string) (shownMapping, error) {
	e, base, err := f.openAs(c, localstack.Relay)
	if err != nil {
		return shownMapping{}, err
	}
	store := published.Store{Objects: base.Objects, Prefix: base.Common.Prefix}
	log, err := store.Log(c.Context())
	if err != nil {
		return shownMapping{}, err
	}
	entry, ok := log.Current()
	if digest != "" {
		entry, err = publishedAs(log, digest)
		ok = true
	}
	switch {
	case err != nil:
		return shownMapping{}, err
	case !ok:
		return deployedMapping(c.Context(), store, log, e)
	}
	source, err := store.Source(c.Context(), entry.Digest)
	return shownMapping{Digest: entry.Digest, Published: true, At: at(entry.At), By: entry.By, Why: entry.Why, Source: string(source)}, err
}

// publishedAs is the newest entry of a mapping whose digest begins so.
func publishedAs(log published.Log, digest string) (published.Entry, error) {
	for _, e := range slices.Backward(log.Entries) {
		if strings.HasPrefix(e.Digest, digest) {
			return e, nil
		}
	}
	return published.Entry{}, locale.Errorf("no mapping of the digest %s was published here: see 'hikyaku mapping log'", visible(digest))
}

// deployedMapping is the mapping that counts where none was published.
func deployedMapping(ctx context.Context, store published.Store, log published.Log, e lambdafn.Environ) (shownMapping, error) {
	if lost, err := store.Lost(ctx, log); err != nil || lost {
		return shownMapping{}, cmp.Or(err, published.ErrLost)
	}
	file := e.Vars["HIKYAKU_MAPPING_FILE"]
	source, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return shownMapping{}, locale.Errorf("no mapping was published, and the one that was deployed (HIKYAKU_MAPPING_FILE %s) is not on this machine: publish one with 'hikyaku mapping put FILE'", visible(file))
	}
	return shownMapping{Digest: mapping.DigestOf(source), Source: string(source)}, nil
}
