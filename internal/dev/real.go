package dev

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/internal/dev/record"
	"hikyaku/internal/hostguard"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/supersaas"
)

// A Real is a provider that is not a sandbox.
type Real struct {
	Connection providers.Connection
	Rate       float64 // what the account is allowed, in requests per second; 0: what is documented
}

// documentedRates are what the providers allow an account, in requests per second, or
// what the clients keep to where nothing is documented.
var documentedRates = map[string]float64{
	providers.SuperSaaS: 4, providers.Yappli: 2, providers.SHOPLINE: 3, providers.AssistTencho: 1, providers.ActiBook: 1,
}

// realShare is the part of an account's rate that a development stack takes.
const realShare = 0.1

// share is what of the account's rate a development stack takes.
func (r Real) share(provider string) float64 {
	return cmp.Or(r.Rate, documentedRates[provider]) * realShare
}

// doors are the only ways to the real providers. The processes of the functions reach
// nothing but this machine.
type doors struct {
	options Options
	behind  map[string]providers.Connection // with addresses of this machine
}

func openDoors(ctx context.Context, o Options, r *record.Recorder) (*doors, error) {
	d := &doors{options: o, behind: map[string]providers.Connection{}}
	if len(o.Real) > 0 && o.Speed > 1 {
		return nil, errRealSpeed
	}
	for provider, real := range o.Real {
		c := withAddresses(real.Connection)
		opened := map[string]string{} // by origin
		pace := providers.NewPace(real.share(provider))
		base := c.BaseURL
		for _, address := range []*string{&c.BaseURL, &c.TokenURL, &c.LoginURL} {
			if *address == "" {
				continue
			}
			u, err := url.Parse(*address)
			if err != nil || u.Scheme != "https" && !hostguard.IsLoopback(u.Host) {
				return nil, fmt.Errorf("the real %s: %q is no https address", provider, *address)
			}
			origin := u.Scheme + "://" + u.Host
			if opened[origin] == "" {
				door := &door{doors: d, provider: provider, kind: c.Kind, tokens: tokenPaths(c, origin), reads: readPaths(provider, base, origin), pace: pace}
				if opened[origin], err = localstack.Serve(ctx, "127.0.0.1:0", r.Calls(provider, door.guard(u))); err != nil {
					return nil, err
				}
			}
			*address = opened[origin] + strings.TrimPrefix(*address, origin)
		}
		d.behind[provider] = c
	}
	return d, nil
}

// withAddresses names the addresses that a provider's client would take by itself: no
// request may find its way beside the door.
func withAddresses(c providers.Connection) providers.Connection {
	switch c.Provider {
	case providers.SuperSaaS:
		c.BaseURL = cmp.Or(c.BaseURL, supersaas.DefaultBaseURL)
	case providers.SHOPLINE:
		c.BaseURL = cmp.Or(c.BaseURL, shopline.DefaultBaseURL)
		c.TokenURL = cmp.Or(c.TokenURL, shopline.TokenURL)
	}
	return c
}

// tokenPaths are the paths of an origin at which tokens are given out, in their plain form.
func tokenPaths(c providers.Connection, origin string) []string {
	if rest, ok := strings.CutPrefix(c.TokenURL, origin); ok && c.TokenURL != "" {
		path, _, _ := strings.Cut(rest, "?")
		return []string{folded(path)}
	}
	return nil
}

// folded is a path as a server may take it that does not look closely.
func folded(path string) string { return strings.ToLower(strings.TrimRight(path, "/")) }

// documentedReads are the beginnings of paths, after the base address, below which the
// providers' documents know of reads.
var documentedReads = map[string][]string{
	providers.SuperSaaS:    {"/api/"},
	providers.Yappli:       {"/api/ext/users"},
	providers.SHOPLINE:     {"/orders", "/customers", "/token/info"},
	providers.AssistTencho: {"/api/v1/"},
}

// readPaths are the beginnings of paths of an origin that may be read.
func readPaths(provider, base, origin string) []string {
	root, ok := strings.CutPrefix(strings.TrimRight(base, "/"), origin)
	if !ok || base == "" {
		return nil
	}
	var paths []string
	for _, path := range documentedReads[provider] {
		paths = append(paths, root+path)
	}
	return paths
}

func (d *doors) connections() map[string]providers.Connection { return d.behind }

func (d *doors) real(provider string) bool {
	_, is := d.behind[provider]
	return is
}

func (d *doors) names() []string { return slices.Sorted(maps.Keys(d.behind)) }

// vars are what the functions have otherwise than on AWS.
func (d *doors) vars(string) map[string]string {
	vars := map[string]string{"HIKYAKU_LOG_LEVEL": "DEBUG"} // how each user was handled is told at this level
	for provider := range d.behind {
		vars["HIKYAKU_"+strings.ToUpper(provider)+"_RATE"] = strconv.FormatFloat(d.options.Real[provider].share(provider), 'f', -1, 64)
		if relayed := provider == providers.SuperSaaS || provider == providers.Yappli; relayed && !d.options.Write {
			vars["HIKYAKU_RELAY"] = "observe"
		}
	}
	return vars
}

// A door lets through to one real provider what does no harm.
type door struct {
	doors    *doors
	provider string
	kind     providers.Kind
	tokens   []string // paths, folded
	reads    []string // beginnings of paths
	pace     providers.Limiter
}

// passed are the headers that reach a provider: those that its clients send. Another one may
// mean something there, such as another method.
var passed = []string{"Accept", "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "User-Agent"}

// longestWait is how long a request waits for its turn.
const longestWait = 25 * time.Second

func (d *door) guard(to *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, to.Host
			maps.DeleteFunc(r.Out.Header, func(name string, _ []string) bool { return !slices.Contains(passed, name) })
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, `{"error":"the provider cannot be reached"}`, http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := d.refuses(r); why != "" {
			http.Error(w, `{"error":"hikyaku dev does not send this to a real provider: `+why+`"}`, http.StatusForbidden)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), longestWait)
		defer cancel()
		if err := d.pace.Wait(ctx); err != nil {
			w.Header().Set("Retry-After", strconv.Itoa(int(longestWait.Seconds())))
			http.Error(w, `{"error":"a tenth of the account's rate is used up"}`, http.StatusTooManyRequests)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
