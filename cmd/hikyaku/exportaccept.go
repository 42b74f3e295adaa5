package main

import (
	"cmp"
	"context"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/objectstore"
)

// A doubtError says that a run is in doubt. The command then exits with 3.
type doubtError struct{ error }

// doubt returns the error of a run in doubt; nil for any other.
func (f *exportFlags) doubt(ctx context.Context, store objectstore.Store, a export.Answer) error {
	if a.Status != export.Doubtful {
		return nil
	}
	what := locale.M("run %s of %s is in doubt and not published: %s", a.Run, a.Dataset, details(a.Doubts))
	if f.to == toPipe {
		return &doubtError{locale.Errorf("%s. No line was printed, and nothing is kept. Run the command again later; with --to DIR what was read is kept, and can be accepted", what)}
	}
	place := f.place(a.Doubt)
	return &doubtError{locale.Errorf("%s. %s lie beside %s; latest.json and the watermark have not moved. "+
		"Look at it, and run the export again later, as a new run (--at %s names this one); or publish this one as it is: hikyaku export accept %s --reason '...'",
		what, runOutcome(ctx, store, a, f.place), place, scheduled(a.Run), place)}
}

// scheduled is the time that a run is named by, as --at takes it.
func scheduled(run string) string {
	text, _, _ := strings.Cut(run, "_")
	at, err := time.Parse("20060102T150405Z", text)
	if err != nil {
		return run
	}
	return at.Format(time.RFC3339)
}

func newExportAccept() *cobra.Command {
	var by, reason, bucket string
	var account clibase.Place
	var o output
	c := &cobra.Command{
		Use:   "accept DOUBT --reason TEXT",
		Short: "Publish a run that is in doubt, because you know better",
		Long: "Publishes a run in doubt as it was read: writes its _manifest.json, which says who accepted it, when and\n" +
			"why, and moves watermark and latest.json as a complete run does. DOUBT is its _doubt.json: an s3://\n" +
			"address, a file below a directory that 'hikyaku export --to DIR' wrote, or with --bucket a key, as\n" +
			"the function's log names it. All parts are read again first.\n\n" +
			"Refused if a part is gone (those of a run in doubt are kept for 14 days) or differs, if a newer run has\n" +
			"been published, or if the window does not begin where the dataset is covered. The same call again goes on\n" +
			"where one that died stopped.",
		Example: "  hikyaku export accept s3://my-lake/shop/exports/yappli/users/dt=2026-11-22/run=20261122T003000Z/_doubt.json \\\n" +
			"    --reason 'the shop deleted its test members'",
		Args: one,
		RunE: func(c *cobra.Command, a []string) error {
			if strings.TrimSpace(reason) == "" {
				return &usageError{locale.Errorf("--reason is missing: say why the run is right although it is in doubt; its manifest keeps that")}
			}
			place := keyed(a[0], bucket)
			at, err := manifestAt(c.Context(), account, place)
			if err != nil {
				return err
			}
			where := func(key string) string { return strings.TrimSuffix(place, at.key) + key }
			answer, err := acceptAt(at).Accept(c.Context(), at.key, cmp.Or(by, whoAmI()), reason)
			if err != nil {
				return err
			}
			if answer.Status == export.Busy {
				return locale.Errorf("another process works on this run until %s at the latest; call again then", answer.Until.Format(time.RFC3339))
			}
			return o.say(c, answer, "Published as %s: %s: %s", answer.State, runOutcome(c.Context(), at.store, answer, where), where(answer.Manifest))
		},
	}
	flags := c.Flags()
	flags.StringVar(&reason, "reason", "", "why the run is right although it is in doubt")
	flags.StringVar(&by, "by", "", "who says so (default: the user of this machine)")
	flags.StringVar(&bucket, "bucket", os.Getenv("HIKYAKU_BUCKET"), "the bucket, where DOUBT is a key")
	accountFlags(c, &account)
	o.add(c)
	return c
}

// keyed completes a key to an address. What is an address or a file stays.
func keyed(place, bucket string) string {
	if _, err := os.Stat(place); err == nil || bucket == "" || strings.Contains(place, "://") {
		return place
	}
	return "s3://" + bucket + "/" + strings.TrimPrefix(place, "/")
}

// acceptAt returns an exporter that can accept what lies at a place. Everything
// else that a run depends on stands in its _doubt.json.
func acceptAt(at location) *export.Exporter {
	prefix := at.key[:max(0, strings.LastIndex(at.key, "exports/")-1)]
	return export.New(export.Settings{Prefix: prefix, Bucket: at.bucket}, export.Seams{Store: at.store, Now: time.Now, NewID: uuid.NewString})
}

// whoAmI names the user of this machine.
func whoAmI() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(os.Getenv("USER"), os.Getenv("USERNAME"), "unknown")
}
