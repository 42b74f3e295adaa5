package lambdafn_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// TestNothingPrintsWhatItHolds renders everything that carries a secret beside other
// things, in each way that Go has.
func TestNothingPrintsWhatItHolds(t *testing.T) {
	t.Parallel()
	const canary = "canary-5f2d90"
	environ := lambdafn.Environ{Vars: vars(map[string]string{"AWS_SECRET_ACCESS_KEY": canary, "AWS_SESSION_TOKEN": canary})}
	common := lambdafn.Common{SecretKey: providers.NewSecret(canary), Session: providers.NewSecret(canary)}
	base := lambdafn.Open(environ, common)
	value := secretstore.Value{Data: []byte(canary)}
	webhook := webhooksecret.Document{Current: providers.NewSecret(canary), Previous: providers.NewSecret(canary)}
	fields, member := supersaas.Fields{"password": canary}, yappli.Fields{"password": yappli.Text(canary), "secret_answer": yappli.Text(canary)}
	for name, v := range map[string]any{
		"environ": environ, "pointer to environ": &environ, "environ in a struct": struct{ E lambdafn.Environ }{environ},
		"common": common, "webhook's secret": webhook, "base": base, "base in a slice": []*lambdafn.Base{base}, "value": value, "value in a map": map[string]secretstore.Value{"a": value},
		"settings of refreshfn": refreshfn.Settings{Common: common}, "settings of relayfn": relayfn.Settings{Common: common},
		"settings of exportfn": exportfn.Settings{Common: common}, "fields of supersaas": fields, "fields of yappli": member,
		"fields in a struct": struct{ A, B any }{fields, member}, "fields in a slice": []yappli.Fields{member},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%c", "%20s", "%.3s", "%t"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			fmt.Fprintln(&out, v, fmt.Errorf("x: %v", v))
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(handler).Info("x", "v", v, slog.Group("g", "v", v))
			}
			_ = json.NewEncoder(io.MultiWriter(&out)).Encode(v)
			for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("% x", canary), strings.Trim(fmt.Sprintf("%d", []byte(canary)), "[]"), strings.Trim(fmt.Sprintf("%o", []byte(canary)), "[]")} {
				if at := strings.Index(out.String(), form); at >= 0 {
					t.Errorf("it shows %q: ...%s", form, out.String()[max(0, at-80):at])
				}
			}
		})
	}
}
