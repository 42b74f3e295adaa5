package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// runCommand runs a command in this process.
func runCommand(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, _, err := runNoted(t, args...)
	return out, err
}

// runNoted returns what the command says on standard error too.
func runNoted(t *testing.T, args ...string) (out, notes string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err = root.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// serveShop connects a local AWS to a SHOPLINE of so many customers, of whom
// some are no UTF-8.
func serveShop(t *testing.T, customers int, broken func(n int) bool) {
	t.Helper()
	connectShop(t, httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var rows []string
		for n := range customers {
			name := "山田"
			if broken(n) {
				name = "\xff"
			}
			if id := fmt.Sprintf("%024d", n); id > r.URL.Query().Get("previous_id") {
				rows = append(rows, fmt.Sprintf(`{"id":%q,"name":"%s"}`, id, name))
			}
		}
		_, _ = io.WriteString(w, `{"items":[`+strings.Join(rows, ",")+`]}`)
	})))
}

// connectShop connects a local AWS to a server that speaks SHOPLINE's API.
func connectShop(t *testing.T, shop *httptest.Server) {
	t.Helper()
	t.Cleanup(shop.Close)
	s, err := localstack.Start(t.Context(), localstack.Options{
		Sandbox: sandbox.Options{Rate: -1}, Dir: t.TempDir(), Mapping: filepath.Join("..", "..", "config", "mapping.yaml"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { called.add(s.AWS.Calls()) })
	if err := s.AWS.Register(awslocal.Function{Name: localstack.Export, Binary: "none", Env: pairs(s.Vars(localstack.Export))}); err != nil {
		t.Fatal(err)
	}
	token := s.Sandboxes[providers.SHOPLINE].Token(shop.URL)
	if err := s.AWS.Secrets.Create(t.Context(), secretstore.Name(localstack.Prefix, providers.SHOPLINE, secretstore.TokenPart), uuid.NewString(), token.Document()); err != nil {
		t.Fatal(err)
	}
	for name, value := range s.Vars(localstack.Export) {
		t.Setenv(name, value)
	}
}

// TestExport_InDoubt follows a provider whose every second record is no UTF-8,
// on a local AWS: to standard output comes no line, into the stack's bucket no
// pointer, until a person accepts the run by its key.
func TestExport_InDoubt(t *testing.T) {
	broken := true
	serveShop(t, 6, func(n int) bool { return broken && n%2 == 0 })
	lines, err := runCommand(t, "export", "shopline/customers", "--to", "-")
	var doubt *doubtError
	if !errors.As(err, &doubt) || lines != "" || !strings.Contains(err.Error(), "in doubt and not published: 3 of 6 records were rejected, more than 5 %. No line was printed") {
		t.Errorf("in doubt: %v, printed %q", err, lines)
	}
	_, err = runCommand(t, "export", "shopline/customers", "--at", "2026-11-22T00:30:00Z", "--stack", localstack.Name)
	const folder = "/exports/shopline/customers/dt=2026-11-22/run=20261122T003000Z/"
	key := localstack.Prefix + folder + "_doubt.json"
	if !errors.As(err, &doubt) || !strings.Contains(err.Error(), "hikyaku export accept s3://"+awslocal.Bucket+"/"+key) {
		t.Errorf("into the bucket: %v", err)
	}
	said, err := runCommand(t, "export", "accept", key, "--bucket", awslocal.Bucket, "--reason", "known", "--by", "山田")
	if err != nil || !strings.Contains(said, "Published as accepted: 3 rows of shopline/customers in 1 part (3 records rejected, see s3://") {
		t.Errorf("accepted: %q, %v", said, err)
	}
	said, err = runCommand(t, "verify", "s3://"+awslocal.Bucket+"/"+localstack.Prefix+folder+"_manifest.json")
	if err != nil || !strings.HasPrefix(said, "accepted by 山田 at ") {
		t.Errorf("verified: %q, %v", said, err)
	}
	broken = false
	if lines, err = runCommand(t, "export", "shopline/customers", "--to", "-"); err != nil || strings.Count(lines, "\n") != 6 {
		t.Errorf("healthy: %v, printed %q", err, lines)
	}
}
