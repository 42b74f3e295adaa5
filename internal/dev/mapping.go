package dev

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hikyaku/internal/console"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/webhookrelay/published"
)

// lookAtMapping is how often the mapping that counts is looked at, by the machine's clock.
const lookAtMapping = 250 * time.Millisecond

// watchMapping publishes the mapping file of the options whenever it changes, as 'mapping
// put' does, and lets every mapping that is published take effect at once: the functions
// that work by it begin in new processes, where others would look within a minute, and
// both lists are compared.
func (s *Stack) watchMapping(ctx context.Context) {
	function, err := relayfn.New(ctx, lambdafn.Environ{Vars: s.Local.Vars(localstack.Reconcile)})
	if err != nil {
		s.options.Notes("The mapping is not watched: " + err.Error())
		return
	}
	counts := effect{store: function.Published()}
	file := publisher{path: s.options.Mapping, run: s.options.Run}
	// A new stack publishes what it was built with, because commands and pages read the
	// mapping that is published: the functions alone know the one beside them.
	first := file.path == "" && file.run != nil && counts.none(ctx)
	if first {
		file.path = filepath.Join(s.options.Dir, shippedMapping)
	}
	ticker := time.NewTicker(lookAtMapping)
	defer ticker.Stop()
	for {
		if file.path != "" && file.run != nil {
			// The first waits for the first tokens without a word.
			if fault := file.look(ctx); fault != "" && !first {
				s.options.Notes(fault)
				s.recorder.Add(console.Event{Kind: console.Logged, Level: "ERROR", Message: fault, Bad: true})
			}
		}
		if first && !counts.none(ctx) {
			first, file.path = false, ""
		}
		if counts.changed(ctx) {
			s.children.renew(localstack.Relay, localstack.Reconcile)
			s.startMachine(ctx, localstack.Nightly)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// An effect is which mapping counted when it was looked at.
type effect struct {
	store  published.Store
	looked bool
	digest string
}

// changed reports whether another mapping counts than at the last look.
func (e *effect) changed(ctx context.Context) bool {
	log, err := e.store.Log(ctx)
	if err != nil {
		return false // the next look is soon
	}
	entry, _ := log.Current()
	changed := e.looked && entry.Digest != e.digest
	e.looked, e.digest = true, entry.Digest
	return changed
}

// none reports whether no mapping was ever published.
func (e *effect) none(ctx context.Context) bool {
	log, err := e.store.Log(ctx)
	return err == nil && len(log.Entries) == 0
}

// A publisher publishes a file whenever it changes.
type publisher struct {
	path string
	run  console.Runner

	source []byte    // that was published last; nil: none was
	tried  []byte    // at the last try, which failed; nil: it did not
	again  time.Time // when to try the same once more
	said   string    // of the last failure
}

// tryAgain is the pause before a mapping is tried again that could not be published, such
// as before the first tokens are there.
const tryAgain = time.Second

// look publishes what the file holds, if that is new, and returns what a person should
// know about it.
func (p *publisher) look(ctx context.Context) (fault string) {
	source, err := os.ReadFile(p.path)
	if err != nil {
		return p.say(ctx, fmt.Sprintf("The mapping file cannot be read: %v; the last mapping counts.", err))
	}
	if p.source != nil && bytes.Equal(source, p.source) || p.tried != nil && bytes.Equal(source, p.tried) && time.Now().Before(p.again) {
		return ""
	}
	answer, err := p.run(ctx, nil, "mapping", "put", p.path, "--yes", "--why", "changed in "+filepath.Base(p.path), "--json")
	if err != nil {
		p.tried, p.again = source, time.Now().Add(tryAgain)
		return p.say(ctx, "The mapping file is not published, and the last mapping counts: "+reason(answer, err))
	}
	p.source, p.tried, p.said = source, nil, ""
	return ""
}

// say returns a sentence that was not said last.
func (p *publisher) say(ctx context.Context, sentence string) string {
	if sentence == p.said || ctx.Err() != nil {
		return ""
	}
	p.said = sentence
	return sentence
}

// reason is what a command has said of its failure.
func reason(answer json.RawMessage, err error) string {
	var said struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(answer, &said) == nil && said.Error.Message != "" {
		return said.Error.Message
	}
	return err.Error()
}
