package webhooksecret_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	const good = "an-invented_secret.of~32-letters"
	for secret, want := range map[string]string{
		good: "", strings.Repeat("0aZ", 50): "",
		"": "has 0 characters", good[1:]: "has 31 characters", "秘密": "has 2 characters", strings.Repeat("あ", 31): "has 31 characters",
		strings.Repeat("あ", 32): "an address changes", good + "/": "an address changes", good + "+": "an address changes", good + "=": "an address changes",
		good + "%41": "an address changes", good + "?": "an address changes", good + "#": "an address changes", good + " ": "an address changes", good + "\n": "an address changes",
	} {
		err := webhooksecret.Check(secret)
		if want == "" && err != nil || want != "" && (!errors.Is(err, webhooksecret.ErrWeak) || !strings.Contains(err.Error(), want) || secret != "" && strings.Contains(err.Error(), secret)) {
			t.Errorf("%q: %v, want %q", secret, err, want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	store, name := new(secretstore.Memory), webhooksecret.Name("shop")
	if name != "shop/supersaas/webhook" {
		t.Errorf("the name is %s", name)
	}
	if err := store.Create(t.Context(), name, uuid.NewString(), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	for document, want := range map[string]error{
		`{"current":"canary-0001","previous":"canary-0002"}`: nil, `{"current":"canary-0001","made_by":"a person"}`: nil,
		`{}`: secretstore.ErrNotFound, `{"current":""}`: secretstore.ErrNotFound, `{"previous":"canary-0002"}`: secretstore.ErrNotFound, `null`: secretstore.ErrNotFound,
		`canary-0003`: providers.ErrInvalid, `{"current":["canary-0003"]}`: providers.ErrInvalid, `"canary-0003"`: providers.ErrInvalid,
	} {
		if err := store.Put(t.Context(), name, uuid.NewString(), []byte(document), secretstore.Current); err != nil {
			t.Fatal(err)
		}
		d, created, err := webhooksecret.Read(t.Context(), store, name, secretstore.Current)
		if !errors.Is(err, want) || (err == nil) != (d.Current.Reveal() == "canary-0001" && !created.IsZero()) || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: %+v, %v, want %v", document, d, err, want)
		}
	}
}
