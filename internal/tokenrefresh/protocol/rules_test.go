package protocol_test

import (
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// TestDecide_KeepsTheInvariants: what docs/token-protocol.md promises holds in every
// transition of every situation.
func TestDecide_KeepsTheInvariants(t *testing.T) {
	t.Parallel()
	e := explored()
	for _, transition := range e.broken {
		t.Error(transition)
	}
	for _, do := range append(protocol.Effects(), protocol.Read, protocol.ReadVersion, protocol.ReadJournal, protocol.ReadRotation, protocol.Await, protocol.Probe, protocol.Finish) {
		if e.reached[do] == 0 {
			t.Errorf("no situation leads to %q", do)
		}
	}
}

// underLease are the actions that only the holder of the lease takes.
var underLease = []protocol.Do{protocol.Open, protocol.WriteJournal, protocol.Obtain, protocol.Store, protocol.Promote, protocol.Supersede, protocol.Notify, protocol.Release}

// invariants must hold of every transition.
var invariants = map[string]func(transition) bool{
	"only the holder of the lease writes or spends": func(x transition) bool {
		return !slices.Contains(underLease, x.next.Do) || x.next.Run.Leased
	},
	"a run that holds the lease ends with its release": func(x transition) bool {
		return x.next.Do != protocol.Finish || !x.next.Run.Leased || x.before.Do == protocol.Release
	},
	"a one-time credential is sent only right after its intent was written, or with the next client secret": func(x transition) bool {
		if x.next.Do != protocol.Obtain || x.next.Exchange.Credential.Empty() {
			return true
		}
		i := x.next.Run.Journal.Intent
		written := x.before.Do == protocol.WriteJournal && x.answer.got.Err == nil || x.before.Do == protocol.Obtain && x.answer.name == "client refused"
		return written && i != nil && i.Key == fingerprint(x.next.Exchange.Credential.Reveal())
	},
	"the intent is written only after the secret was proven writable": func(x transition) bool {
		return x.next.Do != protocol.WriteJournal || x.before.Do == protocol.Store && x.before.Label == protocol.Proof && x.answer.got.Err == nil
	},
	"an answer is stored before anything else is done": func(x transition) bool {
		return x.before.Do != protocol.Obtain || x.answer.got.Err != nil || x.next.Do == protocol.Store
	},
	"an answer that was not understood leaves the intent": func(x transition) bool {
		unclear := x.before.Do == protocol.Obtain && (x.answer.name == "503" || x.answer.name == "unclear")
		return !unclear || x.before.Run.Journal.Intent == nil || x.next.Run.Journal.Intent != nil
	},
	"what the provider denies is not promoted": func(x transition) bool {
		return x.before.Do != protocol.Probe || x.answer.name != "401" || x.next.Do != protocol.Promote || x.next.From == x.next.Run.Edit.Version
	},
	"a version is promoted only from the base that it names, or from the edit that was tried": func(x transition) bool {
		return x.next.Do != protocol.Promote || x.next.From == x.next.Run.Next.Base || x.next.From == x.next.Run.Edit.Version
	},
	"our label is taken off only in the secret and from the version that carry it": func(x transition) bool {
		return x.next.Do != protocol.Unlabel || x.next.ID != ""
	},
	"no event without a reason, and none that shows a credential": func(x transition) bool {
		e := x.next.Event
		return x.next.Do != protocol.Notify || e.Reason != "" && e.Provider != "" && e.At.Equal(now) && !strings.Contains(e.Reason+e.Steps, "access-")
	},
	"a person who is needed is told, or was": func(x transition) bool {
		j := x.next.Run.Journal
		return x.next.Do != protocol.Release || j.Outcome.Status() != protocol.Human || j.NeedsHuman == j.Reason || x.answer.got.Err != nil || x.before.Do == protocol.Notify
	},
	"nothing is renewed over budget": func(x transition) bool {
		j := x.next.Run.Journal
		return len(j.Writes) <= 82 && len(j.Asked) <= 14 && len(j.Forced) <= 82
	},
	"a static credential is never asked for": func(x transition) bool {
		return x.next.Do != protocol.Obtain || x.next.Run.Connection.Kind != providers.Static
	},
}

// TestImports: a decision rests on values. The packages that it may use have nothing to
// ask; providers is its vocabulary.
func TestImports(t *testing.T) {
	t.Parallel()
	allowed := []string{
		"bytes", "crypto/sha256", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "slices", "strconv", "strings", "time", "time/tzdata",
		"hikyaku/pkg/providers",
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), source, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range parsed.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s", f.Name(), path)
			}
		}
		for _, clock := range []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After"} {
			if strings.Contains(string(source), clock+"(") {
				t.Errorf("%s asks %s", f.Name(), clock)
			}
		}
	}
}
