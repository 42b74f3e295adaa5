package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"hikyaku/internal/localstack"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdClean fails if the last command's output holds a secret of the stack, or
// of a file that is named.
func cmdClean(ts *testscript.TestScript, _ bool, files []string) {
	out := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	documents := secretDocuments(stackOf(ts))
	for _, name := range files {
		documents = append(documents, []byte(ts.ReadFile(name)))
	}
	if found := leak(out, documents); found != "" {
		ts.Fatalf("the output holds the secret %s...", found[:4])
	}
}

func secretDocuments(s *localstack.Stack) [][]byte {
	var documents [][]byte
	for _, e := range s.AWS.Secrets.Entries() {
		for _, v := range e.Versions {
			if value, err := s.AWS.Secrets.GetVersion(context.Background(), e.Name, v.ID); err == nil {
				documents = append(documents, value.Data)
			}
		}
	}
	return documents
}

// leak returns a secret of the documents that stands in out, in one of its
// usual forms.
func leak(out string, documents [][]byte) string {
	for _, document := range documents {
		var d struct {
			Credential    string   `json:"credential"`
			APIKey        string   `json:"api_key"`
			ClientSecrets []string `json:"client_secrets"`
			Code          string   `json:"code"`
			Access        string   `json:"access_token"`
			Refresh       string   `json:"refresh_token"`
			Current       string   `json:"current"`
			Key           string   `json:"key"`
		}
		if json.Unmarshal(document, &d) != nil {
			continue
		}
		for _, s := range append(d.ClientSecrets, d.Credential, d.APIKey, d.Code, d.Access, d.Refresh, d.Current, d.Key) {
			if s == "" {
				continue
			}
			for _, form := range []string{s, url.QueryEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), hex.EncodeToString([]byte(s))} {
				if strings.Contains(out, form) {
					return s
				}
			}
		}
	}
	return ""
}

// The search for leaks finds one.
func TestLeakIsFound(t *testing.T) {
	t.Parallel()
	documents := [][]byte{[]byte(`[]`), []byte(`{"client_secrets":["", "canary-0001"],"api_key":"canary-0002"}`)}
	for out, want := range map[string]string{
		"a canary-0001": "canary-0001", "key=canary-0002&": "canary-0002", "63616e6172792d30303032": "canary-0002",
		base64.StdEncoding.EncodeToString([]byte("canary-0001")): "canary-0001", "nothing": "",
	} {
		if got := leak(out, documents); got != want {
			t.Errorf("%q: found %q", out, got)
		}
	}
}
