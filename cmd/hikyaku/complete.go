package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/pkg/providers"
)

const (
	// completeWithin is how long a person who has pressed Tab waits at most.
	completeWithin = 1500 * time.Millisecond
	// completeFor is how long what was looked up is good enough to complete by.
	completeFor = time.Minute
)

// completions lets a shell complete what the flags and arguments of a command take.
func completions(c *cobra.Command) {
	for name, complete := range map[string]cobra.CompletionFunc{
		"stack": completeStacks, "at": completeTimes, "class": completeClasses, "function": fixed(localstack.Functions()),
		"alias": fixed(localstack.Aliases(localstack.TokenRefresh)), "provider": fixed(providers.Names()), "dataset": fixed(export.DatasetNames()),
	} {
		if c.Flags().Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, complete) // it is registered once
		}
	}
	for _, name := range []string{"mapping"} {
		if c.Flags().Lookup(name) != nil {
			_ = c.MarkFlagFilename(name, "yaml", "yml")
		}
	}
	for _, name := range []string{"env-vars", "event"} {
		if c.Flags().Lookup(name) != nil {
			_ = c.MarkFlagFilename(name, "json")
		}
	}
	for _, name := range []string{"dir", "load", "dump", "write-env"} {
		if c.Flags().Lookup(name) != nil {
			_ = c.MarkFlagDirname(name)
		}
	}
	switch c.Name() {
	case "verify", "accept", "records":
		if c.ValidArgsFunction == nil && c.ValidArgs == nil {
			c.ValidArgsFunction = completeManifests
		}
	case "check", "put", "try":
		if c.ValidArgsFunction == nil && c.ValidArgs == nil {
			c.ValidArgsFunction = completeMappings
		}
	case "trigger":
		c.ValidArgsFunction = completeTrigger
	}
}

// fixed completes by what is known without asking.
func fixed(names []string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeClasses(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	known := make([]string, 0, len(outcome.Classes()))
	for _, class := range outcome.Classes() {
		known = append(known, string(class)+"\t"+class.Sentence())
	}
	return known, cobra.ShellCompDirectiveNoFileComp
}

func completeMappings(_ *cobra.Command, a []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(a) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func completeTrigger(_ *cobra.Command, a []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(a) == 0:
		return triggerEvents(), cobra.ShellCompDirectiveNoFileComp
	case len(a) == 1 && a[0] == eventExport:
		return export.DatasetNames(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// placeOf is where a command looks for its stack, by the flags that were typed already.
func placeOf(c *cobra.Command) (place clibase.Place) {
	for name, to := range map[string]*string{"stack": &place.Stack, "profile": &place.Profile, "region": &place.Region, "prefix": &place.Prefix, "bucket": &place.Bucket} {
		*to, _ = c.Flags().GetString(name) // a command without the flag has none
	}
	return place
}

// completeStacks completes the stacks of the account.
func completeStacks(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	place := placeOf(c)
	names := remembered("stacks", place, func() ([]string, error) {
		ctx, cancel := context.WithTimeout(c.Context(), completeWithin)
		defer cancel()
		return place.Names(ctx)
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeTimes completes the runs of a dataset by the times that name them.
func completeTimes(c *cobra.Command, a []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(a) == 0 || !slices.Contains(export.DatasetNames(), a[0]) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var times []string
	for _, r := range knownRuns(c, a[:1]) {
		times = append(times, scheduled(r.Run)+"\t"+string(r.State))
	}
	return times, cobra.ShellCompDirectiveNoFileComp
}

// completeManifests completes the runs of the stack that is named, and files.
func completeManifests(c *cobra.Command, a []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(a) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	const bucket = "s3://"
	if n := min(len(word), len(bucket)); word[:n] != bucket[:n] {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var places []string
	for _, r := range knownRuns(c, export.DatasetNames()) {
		key := r.Manifest
		if key == "" || c.Name() == "accept" {
			key = r.Doubt
		}
		if key != "" {
			places = append(places, r.Place+key+"\t"+string(r.State))
		}
	}
	return places, cobra.ShellCompDirectiveDefault
}

// A knownRun is a run by which a shell completes.
type knownRun struct {
	Run, Manifest, Doubt, Place string

	State export.State
}

// knownRuns are the runs of the stack that the flags or the environment name.
func knownRuns(c *cobra.Command, datasets []string) (runs []knownRun) {
	place := placeOf(c)
	texts := remembered("runs-"+strings.Join(datasets, "-"), place, func() ([]string, error) { return readRuns(c, place, datasets) })
	for _, text := range texts {
		var r knownRun
		if json.Unmarshal([]byte(text), &r) == nil {
			runs = append(runs, r)
		}
	}
	return runs
}

// readRuns asks the stack. A run is a line of JSON, as it is kept.
func readRuns(c *cobra.Command, place clibase.Place, datasets []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(c.Context(), completeWithin)
	defer cancel()
	f := exportFlags{listing: true}
	f.stack.Place = place
	quiet := &cobra.Command{}
	quiet.SetContext(ctx)
	quiet.SetErr(&strings.Builder{})
	direct, _, err := f.open(quiet, datasets[0])
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	var texts []string
	for _, name := range datasets {
		group.Go(func() {
			d, err := direct.Dataset(name)
			if err != nil {
				return // it is left out of this stack
			}
			runs, err := direct.Core.Runs(ctx, d)
			if err != nil {
				return // what can be read is enough to complete by
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range runs {
				raw, _ := json.Marshal(knownRun{Run: a.Run, Manifest: a.Manifest, Doubt: a.Doubt, Place: "s3://" + f.bucket + "/", State: a.State})
				texts = append(texts, string(raw))
			}
		})
	}
	group.Wait()
	slices.Sort(texts)
	slices.Reverse(texts) // the newest first
	return texts, nil
}

// A memory is what a shell was told before.
type memory struct {
	At    time.Time `json:"at"`
	Names []string  `json:"names"`
}

// remembered looks something up, or takes what was found a moment ago: a person presses Tab
// several times. What cannot be found or kept completes nothing, and disturbs nobody.
func remembered(what string, place clibase.Place, look func() ([]string, error)) []string {
	key, _ := json.Marshal([]any{what, place, os.Getenv("HIKYAKU_STACK"), os.Getenv("HIKYAKU_BUCKET"), os.Getenv("AWS_PROFILE"), os.Getenv("AWS_REGION"), os.Getenv("AWS_ENDPOINT_URL")})
	sum := sha256.Sum256(key)
	file := ""
	if dir, err := os.UserCacheDir(); err == nil {
		file = filepath.Join(dir, "hikyaku", "complete-"+hex.EncodeToString(sum[:8])+".json")
	}
	var kept memory
	if raw, err := os.ReadFile(file); err == nil && //nolint:gosec // as it was written
		json.Unmarshal(raw, &kept) == nil && time.Since(kept.At) < completeFor {
		return kept.Names
	}
	names, err := look()
	if err != nil {
		return nil
	}
	raw, _ := json.Marshal(memory{time.Now(), names})
	if file != "" && os.MkdirAll(filepath.Dir(file), 0o700) == nil { //nolint:gosec // the user's own cache
		_ = os.WriteFile(file, raw, 0o600) //nolint:gosec // its name is a digest, in the user's own folder
	}
	return names
}
