package providers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
)

const canary = "canary-7f3a91"

// A secret shows in no verb, whatever it is nested in.
func TestSecret_NoVerbShowsIt(t *testing.T) {
	t.Parallel()
	type inner struct {
		S  providers.Secret
		P  *providers.Secret
		In any
	}
	s := providers.NewSecret(canary)
	values := map[string]any{
		"value": s, "pointer": &s, "slice": []providers.Secret{s}, "array": [1]providers.Secret{s},
		"map": map[string]providers.Secret{"a": s}, "key": map[providers.Secret]int{s: 1},
		"struct": inner{S: s, P: &s, In: s}, "pointer to struct": &inner{S: s, P: &s, In: []any{s}},
		"token":      providers.Token{Credential: s},
		"connection": providers.Connection{ClientSecrets: []providers.Secret{s}, APIKey: s, Code: s},
		"grant":      providers.Grant{Access: s, Refresh: s},
	}
	forms := []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary), strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"), fmt.Sprintf("%q", []byte(canary))}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%T", "%20s", "%.3s", "%-10v", "%w", "%!"} {
			shown := fmt.Sprintf(verb, v)
			for _, form := range forms {
				if strings.Contains(shown, form) {
					t.Errorf("%s of a %s shows it: %s", verb, name, shown)
				}
			}
		}
		for what, shown := range map[string]string{"Sprint": fmt.Sprint(v), "Sprintln": fmt.Sprintln(v), "Errorf": fmt.Errorf("x: %v", v).Error()} {
			if strings.Contains(shown, canary) {
				t.Errorf("%s of a %s shows it: %s", what, name, shown)
			}
		}
		var text, jsons bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&jsons, nil)).Info("x", "v", v, slog.Group("g", "v", v))
		if strings.Contains(text.String()+jsons.String(), canary) {
			t.Errorf("slog of a %s shows it: %s%s", name, &text, &jsons)
		}
		if name == "key" { // encoding/json has no such keys
			continue
		}
		encoded, err := json.Marshal(v)
		if err != nil || strings.Contains(string(encoded), canary) {
			t.Errorf("JSON of a %s: %s %v", name, encoded, err)
		}
	}
}

func TestSecret_IsVisiblyAbsentOrRedacted(t *testing.T) {
	t.Parallel()
	full, empty := providers.NewSecret(canary), providers.Secret{}
	for _, c := range []struct {
		got, want string
	}{
		{full.String(), "[redacted]"}, {empty.String(), ""},
		{fmt.Sprintf("%v %s %q %x %#v", full, full, full, full, full), "[redacted] [redacted] [redacted] [redacted] [redacted]"},
		{fmt.Sprintf("<%v>", empty), "<>"},
		{full.LogValue().String(), "[redacted]"}, {empty.LogValue().String(), ""},
		{full.Reveal(), canary}, {empty.Reveal(), ""},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	if full.Empty() || !empty.Empty() || full == empty || full != providers.NewSecret(canary) || !providers.NewSecret("").Empty() {
		t.Error("Empty or comparison is wrong")
	}
	encoded, err := json.Marshal(map[string]providers.Secret{"a": full, "b": empty})
	if string(encoded) != `{"a":"[redacted]","b":""}` || err != nil {
		t.Errorf("%s %v", encoded, err)
	}
}

func TestToken_ExpiresAtItsEnd(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	token := providers.Token{ExpiresAt: end}
	if token.Expired(end.Add(-1)) || !token.Expired(end) || !token.Expired(end.Add(1)) {
		t.Error("the end is not the first instant of being expired")
	}
	if (providers.Token{}).Expired(end.AddDate(100, 0, 0)) {
		t.Error("an unknown end has passed")
	}
}
