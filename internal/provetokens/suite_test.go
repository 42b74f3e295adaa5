package provetokens

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// issued are the tokens and codes that sandboxes make, whatever their number.
var issued = regexp.MustCompile(`\b(AT|RT)-\d{6}-[0-9a-f]{32}\b|\bCODE-\d{6}-[0-9a-f]{16}\b`)

// sandboxSecrets are those that tests, demo and binaries work with: of every
// sandbox's connection and first token, the planted one, and the local keys.
func sandboxSecrets(t *testing.T) canaries {
	t.Helper()
	secrets := new(secretstore.Memory)
	keep := func(name string, document []byte) {
		if err := secrets.Create(t.Context(), name, uuid.NewString(), document); err != nil {
			t.Fatal(err)
		}
	}
	for _, provider := range providers.Names() {
		s := localstack.NewSandbox(provider, sandbox.Options{Records: 1})
		c := s.Connection(base(provider))
		c.ClientSecrets = append(c.ClientSecrets, providers.NewSecret(planted))
		keep(provider+"/connection", c.Document())
		keep(provider+"/token", s.(interface {
			Token(base string) providers.Token
		}).Token(base(provider)).Document()) //nolint:forcetypeassert // all have it
		if shop, ok := s.(*shoplinetest.Server); ok {
			keep(provider+"/app", shop.AppConnection(base(provider)).Document())
		}
	}
	keep("webhook", []byte(`{"current":"`+hookSecret+`"}`))
	keep("hmac", []byte(`{"key":"`+hashKey+`"}`))
	return gather(t, secrets)
}

// suiteLog is what the tests printed, one item for each package, out of the
// file that 'go test -json' wrote.
func suiteLog(t *testing.T, file string) *recorder {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	said := map[string]*bytes.Buffer{}
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 16<<20); lines.Scan(); {
		var event struct{ Package, Test, Output string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if slices.Contains([]string{"TestScripts/sandbox", "TestScripts/connected", "TestScripts/stack", "TestScripts/trigger"}, event.Test) {
			continue // shows the output of 'hikyaku sandbox', which tells people the sandboxes' credentials
		}
		if said[event.Package] == nil {
			said[event.Package] = new(bytes.Buffer)
		}
		said[event.Package].WriteString(event.Output)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	r := new(recorder)
	for name, output := range said {
		r.note("logged", name, output.Bytes())
	}
	return r
}

// shown lists the leaks of a log, tokens that sandboxes made included.
func (r *recorder) shown(c canaries) (found []string) {
	found = r.leaks(c)
	for _, i := range r.items {
		for _, token := range issued.FindAll(i.data, -1) {
			found = append(found, fmt.Sprintf("%s %s: %.10s...", i.sink, i.name, token))
		}
	}
	return found
}

// TestProveSuite searches the log of the test suite, which HIKYAKU_SUITE_LOG
// names, and a log into which each secret was planted.
func TestProveSuite(t *testing.T) {
	t.Parallel()
	c := sandboxSecrets(t)
	found := 0
	for _, leak := range c.secrets {
		r := new(recorder)
		r.note("logged", "planted", append([]byte("--- FAIL: "), leak...))
		if len(r.shown(c)) > 0 {
			found++
		}
	}
	token := new(recorder)
	token.note("logged", "planted", fmt.Appendf(nil, "got AT-%06d-%032x", 77, 77*7919))
	figure(t, found == len(c.secrets) && found > 100 && len(token.shown(c)) == 1, "planted leaks in a log of the suite, each secret in each form, and a token", "all found", "%d of %d, and %d of 1", found, len(c.secrets), len(token.shown(c)))
	if file := os.Getenv("HIKYAKU_SUITE_LOG"); file != "" {
		r := suiteLog(t, file)
		leaks := r.shown(c)
		for _, leak := range leaks {
			t.Log(leak)
		}
		figure(t, len(leaks) == 0 && r.count()["logged"] > 20, "canaries in the log of the test suite", "0", "%d in that of %d packages", len(leaks), r.count()["logged"])
	}
}
