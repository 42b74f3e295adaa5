package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/dirstore"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers/sandbox"
)

// exportFlags say where an export's tokens come from and its files go.
type exportFlags struct {
	output

	stack   stackFlags
	bucket  string // of the stack, once it is open
	to      string
	sandbox bool
	listing bool // only what lies at the place is looked at
	records int
	logs    bool
}

func (f *exportFlags) add(c *cobra.Command) {
	f.stack.add(c)
	flags := c.Flags()
	flags.StringVar(&f.to, "to", "", "s3://bucket/prefix or a directory (default: the stack's own bucket and prefix)")
	flags.BoolVar(&f.sandbox, "sandbox", false, "read a sandbox that is started for this command, instead of the provider")
	flags.IntVar(&f.records, "records", 120, "with --sandbox: records in each dataset")
	f.output.add(c)
}

const toPipe = "-"

// open opens the export of a dataset. The directory is that of the files, if
// they go into one.
func (f *exportFlags) open(c *cobra.Command, name string) (*exportfn.Direct, export.Dataset, error) {
	e, err := f.environ(c)
	if err != nil {
		return nil, export.Dataset{}, err
	}
	e.Out = logsOf(c, f.logs)
	target, err := f.target()
	if err != nil {
		return nil, export.Dataset{}, err
	}
	if target != nil && e.Vars["HIKYAKU_BUCKET"] == "" {
		e.Vars["HIKYAKU_BUCKET"] = "not-used-by-export"
	}
	direct, err := exportfn.Open(e, target)
	if err != nil {
		return nil, export.Dataset{}, err
	}
	dataset, err := direct.Dataset(name)
	return direct, dataset, err
}

// target reads --to; nil is the stack's own bucket.
func (f *exportFlags) target() (*exportfn.Target, error) {
	rest, bucket := strings.CutPrefix(f.to, "s3://")
	switch {
	case bucket && f.sandbox:
		return nil, &usageError{locale.Errorf("--sandbox exports into a directory or to standard output; give --to DIR or --to -")}
	case bucket:
		name, prefix, _ := strings.Cut(rest, "/")
		if name == "" {
			return nil, &usageError{locale.Errorf("--to %s: expected s3://bucket/prefix", f.to)}
		}
		return &exportfn.Target{Bucket: name, Prefix: strings.Trim(prefix, "/")}, nil
	case f.to == "" && f.sandbox:
		return nil, &usageError{locale.Errorf("--to is missing: a directory, or - for standard output")}
	case f.to == "":
		return nil, nil
	}
	if f.to == toPipe {
		return &exportfn.Target{Objects: &objectstore.Memory{Spool: true}}, nil
	}
	return &exportfn.Target{Objects: dirstore.New(f.to)}, nil // no bucket: s3:// addresses would name what does not exist
}

// ownSettings is an error where rows would go into a stack's own place with the settings
// of this shell: a field that the function leaves out would be published there.
func (f *exportFlags) ownSettings() error {
	own := "s3://" + strings.TrimSuffix(cmp.Or(f.stack.Bucket, os.Getenv("HIKYAKU_BUCKET"))+"/"+cmp.Or(f.stack.Prefix, os.Getenv("HIKYAKU_PREFIX")), "/")
	if f.sandbox || f.stack.name("") != "" || f.to != "" && strings.TrimSuffix(f.to, "/") != own {
		return nil
	}
	return &usageError{locale.Errorf("into the stack's own bucket and prefix a run needs the settings of its function, such as the fields that it leaves out: name the stack with --stack NAME (HIKYAKU_STACK), or give another place with --to")}
}

// offline is an environment for what lies in a directory: no AWS is asked there.
func offline() lambdafn.Environ {
	vars := map[string]string{}
	for _, name := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HIKYAKU_PREFIX", "HIKYAKU_BUCKET"} {
		vars[name] = "not-used-in-a-directory"
	}
	return lambdafn.Environ{Vars: vars}
}

// environ is the stack's, or a sandbox's.
func (f *exportFlags) environ(c *cobra.Command) (lambdafn.Environ, error) {
	ctx := c.Context()
	if f.listing && !f.sandbox && f.to != "" && f.to != toPipe && !strings.HasPrefix(f.to, "s3://") {
		return offline(), nil
	}
	if !f.sandbox {
		e, err := f.stack.environ(c, "", localstack.Export)
		f.bucket = e.Vars["HIKYAKU_BUCKET"]
		return e, err
	}
	s, err := localstack.Start(ctx, localstack.Options{Sandbox: sandbox.Options{Records: f.records, Rate: demoRate}})
	if err != nil {
		return lambdafn.Environ{}, err
	}
	for name, sandbox := range s.Sandboxes {
		secret := secretstore.Name(localstack.Prefix, name, secretstore.TokenPart)
		if err := s.AWS.Secrets.Create(ctx, secret, uuid.NewString(), sandbox.Token(s.URLs[name]).Document()); err != nil {
			return lambdafn.Environ{}, err
		}
	}
	e := lambdafn.OSEnviron()
	maps.Copy(e.Vars, s.Vars(localstack.Export))
	return e, nil
}

// runFlags name one run.
type runFlags struct{ at, from, till string }

func (f *runFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.at, "at", "", "scheduled time that names the run, such as 2026-11-22T00:30:00Z (default: today's unfinished run, or now)")
	c.Flags().StringVar(&f.from, "from", "", "beginning of a range to export, with --until; the watermark then stays where it is")
	c.Flags().StringVar(&f.till, "until", "", "end of that range")
}

// trigger reads the flags; a time that is not given is zero.
func (f *runFlags) trigger(d export.Dataset) (export.Trigger, error) {
	t := export.Trigger{Dataset: d}
	for _, one := range []struct {
		name, text string
		to         *time.Time
	}{{"--at", f.at, &t.Scheduled}, {"--from", f.from, &t.From}, {"--until", f.till, &t.To}} {
		if one.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, one.text)
		if err != nil {
			return t, &usageError{locale.Errorf("%s %s: expected a time such as 2026-11-22T00:30:00Z", one.name, one.text)}
		}
		*one.to = at
	}
	return t, nil
}

// choose names the run: that of --at, the one of today that was begun and not
// finished, or a new one.
func (f *runFlags) choose(ctx context.Context, core *export.Exporter, d export.Dataset, now time.Time) (export.Run, error) {
	t, err := f.trigger(d)
	if err != nil {
		return export.Run{}, err
	}
	given := !t.Scheduled.IsZero()
	if !given {
		t.Scheduled = now
	}
	fresh, err := core.NewRun(t)
	if errors.Is(err, export.ErrTrigger) {
		err = &usageError{err}
	}
	if err != nil || given {
		return fresh, err
	}
	runs, err := core.Runs(ctx, d)
	for _, a := range runs {
		begun, _, _ := strings.Cut(a.Run, "_")
		at, parseErr := time.Parse("20060102T150405Z", begun)
		if t.Scheduled = at; parseErr != nil || a.State != export.Unfinished || a.DT != fresh.DT {
			continue
		}
		if r, err := core.NewRun(t); err == nil && r.ID == a.Run {
			fresh = r
		}
	}
	return fresh, err
}

func newExport() *cobra.Command {
	var f exportFlags
	var run runFlags
	c := &cobra.Command{
		Use:   "export DATASET --stack NAME | --to s3://bucket/prefix | --to DIR | --to -",
		Short: "Export a dataset now, as files of JSON lines or to standard output",
		Long: "Runs the export in this process with the stack's tokens. Ctrl-C stops it safely: what was read is\n" +
			"stored, and the same command goes on with today's unfinished run. A run is published whole, by its\n" +
			"_manifest.json, or not at all. Standard output gets the lines once all have been read.\n\n" +
			"A run that may lack rows is in doubt: it is not published, its rows lie beside a _doubt.json, and the\n" +
			"command exits with 3. Run it again later, or publish it as it is with 'hikyaku export accept'.\n\n" +
			"Into the stack's own bucket and prefix, a run is one like the function's: it moves the watermark and\n" +
			"latest.json. It needs --stack there, by which it has the settings of the function that is deployed: the\n" +
			"fields to leave out, the time zone. Elsewhere --stack gives the same settings, and without it those of\n" +
			"the environment hold, such as HIKYAKU_TIME_ZONE and HIKYAKU_EXPORT_DROP.\n\n" +
			"Datasets:\n  " + strings.Join(export.DatasetNames(), "\n  "),
		Example: "  hikyaku export shopline/orders --stack hikyaku-shop\n  hikyaku export shopline/orders --to s3://my-lake/shop\n" +
			"  hikyaku export yappli/users --to exports --at 2026-11-22T00:30:00Z\n" +
			"  hikyaku export yappli/users --sandbox --to - | head",
		ValidArgs: export.DatasetNames(),
		Args:      oneKnown,
		RunE: func(c *cobra.Command, a []string) error {
			if f.to == toPipe {
				return exportToPipe(c, &f, run, a[0])
			}
			direct, answer, err := exportTo(c, &f, run, a[0])
			if err != nil {
				return err
			}
			if f.asJSON || answer.Status == export.Done {
				err = f.say(c, answer, "Exported %s: %s", runOutcome(c.Context(), direct.Objects, answer, f.place), f.place(answer.Manifest))
			}
			return errors.Join(err, f.doubt(c.Context(), direct.Objects, answer))
		},
	}
	f.add(c)
	run.add(c)
	c.Flags().BoolVar(&f.logs, "logs", false, "show the log on standard error")
	c.AddCommand(newExportPlan(), newExportAccept())
	return c
}

// place shows where a key's object is, as 'verify' and 'export accept' take it.
func (f *exportFlags) place(key string) string {
	rest, bucket := strings.CutPrefix(f.to, "s3://")
	switch {
	case bucket:
		name, _, _ := strings.Cut(rest, "/")
		return "s3://" + name + "/" + key
	case f.to == "" && f.bucket != "":
		return "s3://" + f.bucket + "/" + key
	case f.to == "":
		return key
	}
	return filepath.Join(f.to, filepath.FromSlash(key))
}

// count says how many there are of something.
func count(n int, what string) locale.Message {
	if n == 1 {
		return locale.T("1 " + what)
	}
	return locale.M("%d "+what+"s", n)
}

// exportTo brings a run to its end.
func exportTo(c *cobra.Command, f *exportFlags, named runFlags, name string) (*exportfn.Direct, export.Answer, error) {
	if err := f.ownSettings(); err != nil {
		return nil, export.Answer{}, err
	}
	direct, dataset, err := f.open(c, name)
	if err != nil {
		return nil, export.Answer{}, err
	}
	ctx := c.Context()
	run, err := named.choose(ctx, direct.Core, dataset, time.Now())
	if err != nil {
		return nil, export.Answer{}, err
	}
	say(c.ErrOrStderr(), "Run %s of %s", run.ID, name)
	meter := newMeter(ctx, c.ErrOrStderr(), direct, run)
	answer, err := untilDone(ctx, direct.Core.Telling(meter.told), run, c.ErrOrStderr())
	meter.end()
	if errors.Is(err, errCutShort) && f.to != toPipe {
		err = locale.Errorf("%w; the same command with --at %s goes on", err, run.Scheduled.Format(time.RFC3339))
	}
	return direct, answer, err
}

const errCutShort stoppedError = "stopped safely before the end"

// untilDone calls Extract until the run is published or ctx ends.
func untilDone(ctx context.Context, core *export.Exporter, run export.Run, notes io.Writer) (export.Answer, error) {
	for {
		answer, err := core.Extract(ctx, run)
		switch {
		case ctx.Err() != nil && answer.Status != export.Done && answer.Status != export.Doubtful:
			return answer, errCutShort
		case err != nil || answer.Status == export.Done || answer.Status == export.Doubtful:
			return answer, err
		case answer.Status != export.Busy:
			continue
		}
		why := cmp.Or(answer.Cause, "Another process works on this run, or died in it")
		say(notes, "%s; waiting until %s", locale.T(visible(why)), answer.Until.Local().Format(time.TimeOnly))
		select {
		case <-time.After(time.Until(*answer.Until)):
		case <-ctx.Done():
		}
	}
}

// exportToPipe exports into a store of its own, which ends with the process,
// and then prints the lines.
func exportToPipe(c *cobra.Command, f *exportFlags, run runFlags, name string) error {
	if f.asJSON {
		return &usageError{locale.Errorf("--json and --to - both want standard output")}
	}
	direct, answer, err := exportTo(c, f, run, name)
	if err == nil {
		err = f.doubt(c.Context(), direct.Objects, answer)
	}
	if err != nil {
		return err
	}
	m, err := export.ReadManifest(c.Context(), direct.Objects, answer.Manifest)
	if err != nil {
		return err
	}
	to := c.OutOrStdout()
	if f, terminal := file(to); f != nil && !terminal {
		to = f // a program gets each byte as it is
	}
	out := bufio.NewWriter(to)
	for _, p := range m.Parts {
		if err := writeLines(c.Context(), out, direct, p.Key); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	say(c.ErrOrStderr(), "Printed %s", runOutcome(c.Context(), direct.Objects, answer, nil))
	return nil
}

// writeLines copies a part's lines.
func writeLines(ctx context.Context, out io.Writer, direct *exportfn.Direct, key string) error {
	_, body, err := direct.Objects.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	var lines io.Reader = body
	if strings.HasSuffix(key, ".gz") {
		if lines, err = gzip.NewReader(body); err != nil {
			return err
		}
	}
	_, err = io.Copy(out, lines) //nolint:gosec // of parts that this tool wrote, at most 64 MiB each
	return err
}
