package provetokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// staff stands for SHOPLINE with a staff token, where the provider's name
// means the app.
const staff = "shopline staff"

// A desk is where a person edits secrets while the function works.
type desk struct {
	*rig

	endpoint string // of a moto server; empty: the local AWS
	secrets  secretstore.Store
	prefix   string
	name     string // of the credential: a provider's, or staff
	provider string
	calls    int
	now      time.Duration // by which the function's clock is ahead
	lax      bool          // AWSCURRENT moves from wherever it stands
	mu       sync.Mutex
}

// environ is the function's world, in which each call is counted.
func (d *desk) environ() lambdafn.Environ {
	e := d.rig.environ(d.prefix, d.t.Output())
	e.Now = func() time.Time { return time.Now().Add(d.now) }
	if d.lax {
		e.AWS = roundTrip(d.force)
	}
	if d.endpoint != "" {
		e.Vars["AWS_ENDPOINT_URL"], e.AWS = d.endpoint, counted{d.rig, http.DefaultTransport}
	}
	return e
}

// counted is a transport whose requests count as calls of the run.
type counted struct {
	*rig

	next http.RoundTripper
}

// RoundTrip counts the request once it is answered.
func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.next.RoundTrip(r)
	if c.called != nil {
		c.called(step("aws", r))
	}
	return answer, err
}

// newDesk returns a desk over the local AWS, or over a moto server.
func newDesk(t *testing.T, name, endpoint string) *desk {
	t.Helper()
	d := &desk{
		rig:      newRig(t, sandbox.Options{Seed: seed(), Records: 5, Rate: -1}, awslocal.Options{}),
		endpoint: endpoint, name: name, provider: strings.TrimSuffix(name, " staff"), prefix: "desk",
	}
	t.Cleanup(func() { _ = d.aws.Close() })
	e := d.environ()
	if endpoint == "" {
		e.AWS = d.aws.Client().Transport // the person's calls are not the run's
	} else {
		e.AWS = http.DefaultTransport
		makeBucket(t, endpoint)
	}
	b, err := clibase.Open(e)
	if err != nil {
		t.Fatal(err)
	}
	d.secrets = b.Secrets
	return d
}

// makeBucket creates the stack's bucket; it may be there already.
func makeBucket(t *testing.T, endpoint string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/"+awslocal.Bucket, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}

func (d *desk) secret(part string) string { return secretstore.Name(d.prefix, d.provider, part) }

// write makes a document current as a program does: put, then a swap.
func (d *desk) write(part, id string, document []byte) {
	d.t.Helper()
	ctx, name := d.t.Context(), d.secret(part)
	current, err := d.secrets.Get(ctx, name, secretstore.Current)
	if err == nil {
		err = d.secrets.Put(ctx, name, id, document, "EDIT")
	}
	if err == nil {
		err = d.secrets.Promote(ctx, name, secretstore.Current, id, current.ID)
	}
	if err == nil {
		err = d.secrets.Promote(ctx, name, "EDIT", "", id)
	}
	if err != nil {
		d.t.Errorf("editing %s: %v", name, err)
	}
}

// edit is a person at the console, who makes a version of their own current.
// On moto that forks AWSCURRENT (docs/decisions/0003), so there it is done as
// a program would.
func (d *desk) edit(part string, document []byte) (id string) {
	d.t.Helper()
	id = uuid.NewString()
	if d.endpoint != "" {
		d.write(part, id, document)
		return id
	}
	if err := d.secrets.Put(d.t.Context(), d.secret(part), id, document, secretstore.Current); err != nil {
		d.t.Errorf("editing %s: %v", d.secret(part), err)
	}
	return id
}

// connection is what the operator has configured, or configures next: it
// always differs from what it was before.
func (d *desk) connection() providers.Connection {
	switch s := d.sandboxes[d.provider].(type) {
	case *shoplinetest.Server:
		if d.name != staff {
			return d.app()
		}
		s.GenerateToken(time.Time{})
	case *supersaastest.Server:
		s.RollKey()
	}
	return d.sandboxes[d.provider].Connection(base(d.provider))
}

// begin connects the credential under a prefix of its own, obtains it, and
// makes it due again.
func (d *desk) begin(n int) *refreshfn.Function {
	d.t.Helper()
	d.prefix, d.now, d.called = fmt.Sprintf("desk-%d-%s", n, uuid.NewString()), 0, nil
	if err := d.secrets.Create(d.t.Context(), d.secret(secretstore.ConnectionPart), uuid.NewString(), d.connection().Document()); err != nil {
		d.t.Fatal(err)
	}
	f, err := refreshfn.New(d.t.Context(), d.environ())
	if err != nil {
		d.t.Fatal(err)
	}
	d.run(f, d.look())
	switch d.name {
	case providers.Yappli:
		d.age(13 * time.Hour)
	case providers.ActiBook:
		d.age(21 * time.Minute)
	case providers.SHOPLINE:
		d.age(pairLife - pairAhead + time.Hour)
	default:
		d.edit(secretstore.ConnectionPart, d.connection().Document())
	}
	return f
}

// age makes the credential older.
func (d *desk) age(by time.Duration) {
	d.t.Helper()
	token, err := served(d.t, d.secrets, d.prefix, d.provider)
	if err != nil {
		d.t.Fatal(err)
	}
	token.ObtainedAt, token.ExpiresAt = token.ObtainedAt.Add(-by), token.ExpiresAt.Add(-by)
	d.write(secretstore.TokenPart, "hikyaku-"+uuid.NewString(), token.Document())
	if d.name != providers.SHOPLINE {
		return
	}
	value, err := d.secrets.Get(d.t.Context(), d.secret(secretstore.RefreshPart), secretstore.Current)
	if err != nil {
		d.t.Fatal(err)
	}
	grant, err := providers.ParseGrant(value.Data)
	if err != nil {
		d.t.Fatal(err)
	}
	grant.ObtainedAt, grant.ExpiresAt = grant.ObtainedAt.Add(-by), grant.ExpiresAt.Add(-by)
	d.write(secretstore.RefreshPart, "hikyaku-"+uuid.NewString(), grant.Document())
}

// look is the event of a request for the one provider.
func (d *desk) look() []byte { return fmt.Appendf(nil, `{"provider":%q}`, d.provider) }

func (d *desk) run(f *refreshfn.Function, event []byte) {
	d.t.Helper()
	if _, err := invoke(d.t.Context(), f, event); err != nil {
		d.t.Errorf("%s: %v", d.name, err)
	}
}

// entered is what a person types into a secret: a credential that works, or
// one that does not.
func (d *desk) entered(part string, works bool) []byte {
	if part == secretstore.ConnectionPart {
		return d.connection().Document()
	}
	c := d.sandboxes[d.provider].Connection(base(d.provider))
	token := d.sandboxes[d.provider].Token(base(d.provider))
	token.Kind, token.ExpiresAt = c.Kind, time.Now().Add(200*day)
	refresh := ""
	if shop, ok := d.sandboxes[d.provider].(*shoplinetest.Server); ok && d.name != staff {
		access, next := shop.Tokens.Issue(time.Now())
		token.Kind, token.Credential, refresh = providers.OneTimePair, providers.NewSecret(access), next
	}
	if !works {
		token.Credential = providers.NewSecret("broken token")
	}
	if part == secretstore.TokenPart {
		return token.Document()
	}
	return providers.Grant{
		Access: token.Credential, Refresh: providers.NewSecret(refresh), ObtainedAt: time.Now(), ExpiresAt: token.ExpiresAt,
	}.Document()
}

// editAfter lets a person edit a secret after call n of a run. It reports how
// many calls the run made, and what is wrong.
func (d *desk) editAfter(part string, works bool, n int) (calls int, fault error) {
	d.t.Helper()
	f := d.begin(n)
	edit := ""
	d.calls = 0
	d.called = func(string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.calls++; d.calls == n {
			called := d.called
			d.called = nil // what the person does is no call of the run
			edit = d.edit(part, d.entered(part, works))
			d.called = called
		}
	}
	d.run(f, d.look())
	d.called = nil
	if d.calls < n {
		return d.calls, nil
	}
	return d.calls, d.judge(f, part, edit, works)
}

// judge says what became of an edit.
func (d *desk) judge(f *refreshfn.Function, part, edit string, works bool) error {
	d.t.Helper()
	ctx, name := d.t.Context(), d.secret(part)
	value, err := d.secrets.Get(ctx, name, secretstore.Current)
	if err != nil {
		return err
	}
	description, err := d.secrets.Describe(ctx, name)
	if err != nil {
		return err
	}
	kept, _ := description.Holder(protocol.Superseded)
	knew := strings.Contains(string(value.Data), edit) // it came before the run read its base
	if value.ID != edit && (part == secretstore.ConnectionPart || !knew && (works || kept.ID != edit)) {
		return fmt.Errorf("it was overwritten by %s", value.ID)
	}
	for range 3 { // the next runs settle
		d.now += 2 * time.Minute
		d.run(f, d.look())
	}
	token, err := served(d.t, d.secrets, d.prefix, d.provider)
	if err == nil && !valid(d.sandboxes[d.provider], token) { // a caller says so
		d.now += 2 * time.Minute
		d.run(f, rejected(d.provider, token.Version))
		token, err = served(d.t, d.secrets, d.prefix, d.provider)
	}
	if err != nil {
		return err
	}
	if !valid(d.sandboxes[d.provider], token) {
		return errors.New("what is served does not work")
	}
	return nil
}

// TestProveEdits lets a person edit a secret after each call of a run, on the
// local AWS and on the endpoint that the environment names.
func TestProveEdits(t *testing.T) {
	t.Parallel()
	places := map[string]string{"the local AWS": ""}
	if endpoint := os.Getenv("HIKYAKU_TEST_AWS_ENDPOINT"); endpoint != "" {
		places["moto"] = endpoint
	}
	for place, endpoint := range places {
		for _, name := range []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE, staff, providers.AssistTencho, providers.SuperSaaS} {
			t.Run(place+" "+name, func(t *testing.T) {
				t.Parallel()
				edits, wrong := 0, 0
				stride := size(1, 4)
				if endpoint != "" {
					stride = size(1, 15) // each of its calls takes milliseconds
				}
				for _, part := range []string{secretstore.ConnectionPart, secretstore.TokenPart, secretstore.RefreshPart} {
					if part == secretstore.RefreshPart && name != providers.SHOPLINE && name != providers.AssistTencho {
						continue
					}
					for _, works := range []bool{true, false} {
						if part == secretstore.ConnectionPart && !works {
							continue
						}
						d := newDesk(t, name, endpoint)
						for n, calls := 1, 1; n <= calls; n += stride {
							var fault error
							calls, fault = d.editAfter(part, works, n)
							if fault != nil {
								t.Errorf("%s, %s, the %s secret edited after call %d (works %t): %v", place, name, part, n, works, fault)
								wrong++
							}
							edits++
						}
					}
				}
				figure(t, wrong == 0, fmt.Sprintf("edits by a person, %s, %s", place, name), "none overwritten, what works is served", "%d edits, %d wrong", edits, wrong)
			})
		}
	}
}

// TestProveEdits_WithoutTheSwap is the same over a Secrets Manager that moves
// AWSCURRENT from wherever it stands.
func TestProveEdits_WithoutTheSwap(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	d := newDesk(t, providers.Yappli, "")
	d.lax = true
	wrong := 0
	for n, calls := 1, 1; n <= calls; n++ {
		var fault error
		if calls, fault = d.editAfter(secretstore.TokenPart, true, n); fault != nil {
			wrong++
		}
	}
	figure(t, wrong > 0, "guard removed: AWSCURRENT moves without a swap", "must be more than 0", "%d edits overwritten", wrong)
}

// force sends a stage's move as if AWSCURRENT were where its sender thinks.
func (d *desk) force(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateSecretVersionStage") {
		return toAWS{d.rig}.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var move map[string]string
	if err := json.Unmarshal(body, &move); err != nil {
		return nil, err
	}
	if move["VersionStage"] == secretstore.Current {
		current, err := d.secrets.Get(r.Context(), move["SecretId"], secretstore.Current)
		if err != nil {
			return nil, err
		}
		move["RemoveFromVersionId"] = current.ID
	}
	if body, err = json.Marshal(move); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return toAWS{d.rig}.RoundTrip(r)
}
