package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/dirstore"
	"hikyaku/internal/objectstore/s3store"
)

func newVerify() *cobra.Command {
	var o output
	var account clibase.Place
	c := &cobra.Command{
		Use:   "verify MANIFEST",
		Short: "Say what a run is worth, read it again and prove every figure of its manifest",
		Long: "Reads every object of the run: each part must exist, hold as many rows and bytes as the manifest says,\n" +
			"have the same SHA-256, first and last id, and hold one JSON object a line; the rejects must be there;\n" +
			"and the folder must hold nothing else. MANIFEST is an s3:// address, or a file below a directory that\n" +
			"'hikyaku export --to DIR' wrote: a _manifest.json, or the _doubt.json of a run in doubt. The first line\n" +
			"says whether the run is complete, accepted, in doubt, of a version that did not record it, or expired:\n" +
			"its objects are gone, as they are once their retention is over. Exits with 1 if anything is wrong, or\n" +
			"gone.",
		Example: "  hikyaku verify s3://my-lake/shop/exports/shopline/orders/dt=2026-11-22/run=20261122T003000Z/_manifest.json\n" +
			"  hikyaku verify exports/exports/yappli/users/dt=2026-11-22/run=20261122T003000Z/_manifest.json --json",
		Args: one,
		RunE: func(c *cobra.Command, a []string) error {
			at, err := manifestAt(c.Context(), account, a[0])
			if err != nil {
				return err
			}
			v, err := export.Verify(c.Context(), at.store, at.key)
			if err != nil {
				return err
			}
			err = o.print(c, v, func(out io.Writer) error { return writeVerdict(out, v) })
			if err == nil && v.State == export.Expired {
				err = locale.Errorf("%s: the run has expired, so there is nothing to prove", visible(a[0]))
			}
			if err == nil && len(v.Faults) > 0 {
				err = locale.Errorf("%s: %s found; run the export of that time again under another --at", a[0], count(len(v.Faults), "fault"))
			}
			return err
		},
	}
	accountFlags(c, &account)
	o.add(c)
	return c
}

func writeVerdict(out io.Writer, v export.Verdict) error {
	_, _ = fmt.Fprintln(out, visible(standing(v).In(languageOf(out))))
	for _, fault := range v.Faults {
		_, _ = fmt.Fprintln(out, visible(fault))
	}
	if v.State == export.Expired {
		say(out, "published with %s and %s", count(v.Parts, "part"), count(v.Rows, "row"))
		return nil
	}
	verdict := "proved"
	if len(v.Faults) > 0 {
		verdict = "not proved"
	}
	say(out, "%s: %s, %s, %d bytes", locale.T(verdict), count(v.Parts, "part"), count(v.Rows, "row"), v.Bytes)
	return nil
}

// standing says in one line what a run is worth.
func standing(v export.Verdict) locale.Message {
	state := locale.T(string(v.State))
	switch v.State {
	case export.Accepted:
		if a := v.Accepted; a != nil {
			return locale.M("%s by %s at %s: %s", state, a.By, a.At.Format(time.RFC3339), a.Reason)
		}
	case export.InDoubt:
		return locale.M("%s, not published: %s", state, details(v.Doubts))
	case export.Complete, export.Unfinished: // nothing to add
	case export.Expired:
		return locale.M("%s: nothing of it is left after the days for which the bucket keeps exports (ExportRetentionDays)", state)
	case export.NotRecorded:
		return locale.M("%s: a version published the run that did not record whether it was in doubt", state)
	default:
	}
	return state
}

// details joins what there is to say about doubts.
func details(doubts []export.Doubt) string {
	list := make([]string, 0, len(doubts))
	for _, d := range doubts {
		list = append(list, d.Detail)
	}
	return strings.Join(list, "; ")
}

// A location is where a manifest lies.
type location struct {
	store  objectstore.Store
	bucket string // empty: a directory
	key    string
}

// manifestAt finds the store that a manifest is in, and its key there. A bucket is read
// with the account's rights.
func manifestAt(ctx context.Context, account clibase.Place, place string) (location, error) {
	named := strings.HasSuffix(place, "/_manifest.json") || strings.HasSuffix(place, "/_doubt.json")
	if rest, ok := strings.CutPrefix(place, "s3://"); ok {
		bucket, key, _ := strings.Cut(rest, "/")
		if bucket == "" || !named {
			return location{}, &usageError{locale.Errorf("%s: expected s3://bucket/.../run=.../_manifest.json, or a _doubt.json there", place)}
		}
		account.Prefix, account.Bucket = "not-used-by-verify", bucket
		e, err := account.Environ(ctx, "")
		if err != nil {
			return location{}, err
		}
		base, err := clibase.Open(e.Environ)
		if err != nil {
			return location{}, err
		}
		return location{s3store.New(base.AWS, bucket), bucket, key}, nil
	}
	path, err := filepath.Abs(place)
	if err != nil {
		return location{}, err
	}
	path = filepath.ToSlash(path)
	at := strings.LastIndex(path, "/exports/")
	if at < 0 || !named {
		return location{}, &usageError{locale.Errorf("expected DIR/exports/.../run=.../_manifest.json, or a _doubt.json there: the place of the other files follows from it")}
	}
	return location{store: dirstore.New(filepath.FromSlash(path[:at])), key: path[at+1:]}, nil
}
