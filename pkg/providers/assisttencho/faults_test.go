package assisttencho_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/sandbox"
)

const loginPage = "<!DOCTYPE html><html><body><form><input type=PASSWORD name=pw></form></body></html>"

// Whatever comes back, the error is typed and says nothing of the answer, the
// address or the token.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		cut    error
		kind   error
	}{
		"login page":             {200, loginPage, nil, providers.ErrUnauthorized},
		"login page after a BOM": {200, "\xef\xbb\xbf \r\n" + loginPage, nil, providers.ErrUnauthorized},
		"maintenance page":       {200, "<html>ただいまメンテナンス中 canary-body</html>", nil, providers.ErrTemporary},
		"invalid token":          {200, `{"error":"invalid_token","canary-body":1}`, nil, providers.ErrUnauthorized},
		"expired token":          {200, `{"error":"expired_token"}`, nil, providers.ErrUnauthorized},
		"unauthorized":           {200, `{"error":"unauthorized"}`, nil, providers.ErrUnauthorized},
		"access denied":          {200, `{"error":"access_denied"}`, nil, providers.ErrForbidden},
		"scope":                  {200, `{"error":"insufficient_scope"}`, nil, providers.ErrForbidden},
		"another error":          {200, `{"error":"canary-body"}`, nil, providers.ErrInvalid},
		"an error object":        {200, `{"error":{"message":"canary-body"}}`, nil, providers.ErrInvalid},
		"401":                    {401, "canary-body", nil, providers.ErrUnauthorized},
		"403":                    {403, "canary-body", nil, providers.ErrForbidden},
		"405":                    {405, "canary-body", nil, providers.ErrInvalid},
		"redirect":               {302, "", nil, providers.ErrInvalid},
		"no JSON":                {200, "canary-body", nil, providers.ErrInvalid},
		"nothing":                {200, "", nil, providers.ErrInvalid},
		"half":                   {200, `[{"serial_order_id":1},{"canary-body":`, nil, providers.ErrInvalid},
		"several arrays":         {200, `{"orders":[],"errors":["canary-body"]}`, nil, providers.ErrInvalid},
		"array of texts":         {200, `["canary-body"]`, nil, providers.ErrInvalid},
		"a text":                 {200, `"canary-body"`, nil, providers.ErrInvalid},
		"an object as number":    {200, `[{"serial_order_id":{"canary-body":1}}]`, nil, providers.ErrInvalid},
		"connection fault":       {0, "", errors.New("canary-url"), providers.ErrTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &canned.Transport{Status: c.status, Body: c.body, Err: c.cut}
			_, err := clientOf(transport, "").GetOrder(t.Context(), "5")
			if !errors.Is(err, c.kind) {
				t.Fatalf("got %v; want %v", err, c.kind)
			}
			var e *providers.Error
			if !errors.As(err, &e) || e.Provider != "assisttencho" || e.Op != "orders.get" || e.Status != c.status {
				t.Errorf("error %+v", e)
			}
			for _, canary := range []string{"canary", secretToken, "sandbox.test"} {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("the error shows %q: %v", canary, err)
				}
			}
		})
	}
}

func TestHarmlessErrors(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"null", "false", "0", `""`, "[]", "{}"} {
		transport := &canned.Transport{Body: `{"serial_order_id":5,"error":` + value + `}`}
		if _, err := clientOf(transport, "").GetOrder(t.Context(), "5"); err != nil {
			t.Errorf("error %s: %v", value, err)
		}
	}
}

func TestBytesThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{Body: "[{\"serial_order_id\":5,\"name\":\"\x8c\xe9\"}]"} // Shift_JIS
	list, err := clientOf(transport, "").ReadOrders(t.Context(), assisttencho.OrdersQuery{})
	if err != nil || "["+string(list.Bytes(list.Records[0]))+"]" != transport.Body || list.Records[0].Fault == "" {
		t.Errorf("page %+v, %v; want the provider's own bytes", list, err)
	}
	if _, err := clientOf(transport, "").GetOrder(t.Context(), "5"); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("decoded: %v; want ErrInvalid", err)
	}
}

func TestOversizedAnswer(t *testing.T) {
	t.Parallel()
	s, _ := newShop(50, nil)
	o := unpaced(s.Client())
	o.MaxBody = 1000
	_, err := assisttencho.New(providers.Fixed(s.Token(base)), o).ReadOrders(t.Context(), assisttencho.OrdersQuery{})
	if !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("got %v; want ErrInvalid", err)
	}
}

func TestSandboxFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[sandbox.FaultKind]error{
		sandbox.TooMany: providers.ErrRateLimited, sandbox.ServerFail: providers.ErrTemporary,
		sandbox.BadGateway: providers.ErrTemporary, sandbox.Dropped: providers.ErrTemporary,
		sandbox.Lost: providers.ErrTemporary, sandbox.Reset: providers.ErrTemporary,
		sandbox.Denied: providers.ErrUnauthorized, sandbox.Garbage: providers.ErrMalformed,
		sandbox.Slow: nil,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s, client := newShop(50, nil)
			s.Inject(sandbox.Fault{Kind: kind, Delay: time.Millisecond})
			n, failed := 0, error(nil)
			for _, err := range client.Orders(t.Context(), assisttencho.OrdersQuery{}) {
				if failed = err; err == nil {
					n++
				}
			}
			if !errors.Is(failed, want) || want != nil && n != 0 || want == nil && n != 50 {
				t.Errorf("%d orders, %v; want %v", n, failed, want)
			}
		})
	}
}

// Both forms of Retry-After are obeyed, and a read is repeated.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"seconds", "date"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := newShop(3, nil)
				fault := sandbox.Fault{Kind: sandbox.TooMany, RetryAfter: "7"}
				if form == "date" {
					fault.RetryAfter = time.Now().Add(7 * time.Second).UTC().Format(http.TimeFormat)
				}
				s.Inject(fault)
				client := assisttencho.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client()})
				start := time.Now()
				if _, err := client.GetOrder(t.Context(), "1"); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took != 7*time.Second {
					t.Errorf("waited %s; want 7s", took)
				}
				s.Inject(fault)
				_, err := assisttencho.New(providers.Fixed(s.Token(base)), unpaced(s.Client())).GetOrder(t.Context(), "1")
				if form == "seconds" && providers.RetryAfter(err) != 7*time.Second {
					t.Errorf("the error asks for %s", providers.RetryAfter(err))
				}
			})
		})
	}
}

// A creation whose answer is lost is not repeated; an update is.
func TestLostWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newShop(3, nil)
		client := assisttencho.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client()})
		s.Inject(sandbox.Fault{Kind: sandbox.Lost, Times: 2})
		if _, err := client.CreateOrder(t.Context(), map[string]any{"a": 1}); !errors.Is(err, providers.ErrTemporary) {
			t.Errorf("creation: %v; want ErrTemporary", err)
		}
		if n := s.Count("POST /api/v1/orders.php"); n != 1 {
			t.Errorf("%d creations; want 1", n)
		}
		if o, err := client.GetOrder(t.Context(), "4"); err != nil || o.SerialOrderID != "4" {
			t.Errorf("the order that was created: %v", err)
		}
		s.Inject(sandbox.Fault{Kind: sandbox.Lost})
		if o, err := client.UpdateOrder(t.Context(), "4", map[string]any{"a": 2}); err != nil || !strings.Contains(string(o.Raw), `"a":2`) {
			t.Errorf("update: %s, %v", o.Raw, err)
		}
		if n := s.Count("PUT /api/v1/orders.php"); n != 2 {
			t.Errorf("%d updates; want 2", n)
		}
	})
}

// The transport's answer ends before its body does.
func TestTornBody(t *testing.T) {
	t.Parallel()
	transport := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader(`[{"serial`), torn{}))}, nil
	})
	client := assisttencho.New(providers.Fixed(providers.Token{BaseURL: base}), unpaced(&http.Client{Transport: transport}))
	if _, err := client.ReadOrders(t.Context(), assisttencho.OrdersQuery{}); !errors.Is(err, providers.ErrTemporary) {
		t.Errorf("got %v; want ErrTemporary", err)
	}
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`[{"serial_order_id":5}]`, `{"orders":[{"serial_order_id":"5"}]}`, `{"serial_order_id":5,"items":[1]}`, `{"a":{"b":[]}}`,
		`{}`, `null`, `[null]`, `<html>`, "\xef\xbb\xbf[]", `{"error":"x"}`, `[`, "", `{"a":null}`, `{"orders":[[]]}`,
	} {
		f.Add(seed, "")
		f.Add(seed, "orders")
		f.Add(seed, "a.b")
	}
	f.Fuzz(func(t *testing.T, body, envelope string) {
		transport := &canned.Transport{Body: body}
		quirks := `{}`
		if envelope == "orders" || envelope == "a.b" {
			quirks = `{"envelope":"` + envelope + `"}`
		}
		o, err := clientOf(transport, quirks).GetOrder(t.Context(), "5")
		if err == nil && (len(o.Raw) == 0 || o.Raw[0] != '{' || o.SerialOrderID != "5" && o.SerialOrderID != "") {
			t.Errorf("order %q with bytes %q", o.SerialOrderID, o.Raw)
		}
		var e *providers.Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("an error outside the vocabulary: %v", err)
		}
	})
}
