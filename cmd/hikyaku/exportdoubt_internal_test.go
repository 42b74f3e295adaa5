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

	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// TestPipe_PrintsNoLineOfARunInDoubt: a provider whose every second record is no
// UTF-8.
func TestPipe_PrintsNoLineOfARunInDoubt(t *testing.T) {
	broken := true
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var rows []string
		for n := range 6 {
			text := "山田"
			if broken && n%2 == 0 {
				text = "\xff"
			}
			if id := fmt.Sprintf("%024d", n); id > r.URL.Query().Get("previous_id") {
				rows = append(rows, fmt.Sprintf(`{"id":%q,"name":"%s"}`, id, text))
			}
		}
		_, _ = io.WriteString(w, `{"items":[`+strings.Join(rows, ",")+`]}`)
	}))
	defer shop.Close()
	s, err := localstack.Start(t.Context(), localstack.Options{Sandbox: localstack.SandboxOptions{Rate: -1}, Dir: t.TempDir(), Mapping: filepath.Join("..", "..", "config", "mapping.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	token := s.Sandboxes[providers.SHOPLINE].Token(shop.URL)
	if err := s.AWS.Secrets.Create(t.Context(), secretstore.Name(localstack.Prefix, providers.SHOPLINE, secretstore.TokenPart), uuid.NewString(), token.Document()); err != nil {
		t.Fatal(err)
	}
	for name, value := range s.Vars(localstack.Export) {
		t.Setenv(name, value)
	}
	export := func() (string, error) {
		var out bytes.Buffer
		root := newRoot()
		root.SetArgs([]string{"export", "shopline/customers", "--to", "-"})
		root.SetOut(&out)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(t.Context())
		return out.String(), err
	}
	lines, err := export()
	var doubt *doubtError
	if !errors.As(err, &doubt) || lines != "" || !strings.Contains(err.Error(), "in doubt and not published: 3 of 6 records were rejected, more than 5 %. No line was printed") {
		t.Errorf("in doubt: %v, printed %q", err, lines)
	}
	broken = false
	if lines, err = export(); err != nil || strings.Count(lines, "\n") != 6 {
		t.Errorf("healthy: %v, printed %q", err, lines)
	}
}
