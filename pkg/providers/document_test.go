package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
)

var (
	tokyo = time.FixedZone("JST", 9*60*60)
	begun = time.Date(2026, 11, 22, 12, 30, 0, 500, tokyo)
	ended = time.Date(2027, 3, 31, 23, 59, 59, 0, tokyo)
)

func fullToken() providers.Token {
	return providers.Token{
		Provider: providers.SHOPLINE, Kind: providers.OneTimePair, BaseURL: "https://open.example/v1", LoginURL: "https://login.example/x",
		Account: "example-shop", Credential: providers.NewSecret("AT 日本語\"<&>"), ObtainedAt: begun.UTC(), ExpiresAt: ended.UTC(),
		Quirks: json.RawMessage(`{"handle":"example-shop"}`), Base: "version-1",
	}
}

func fullConnection() providers.Connection {
	return providers.Connection{
		Provider: providers.ActiBook, Kind: providers.ClientCredentials, BaseURL: "https://a.example", TokenURL: "https://t.example/token",
		LoginURL: "https://l.example/login", Account: "mihon", ClientID: "client", APIKey: providers.NewSecret("key"), Code: providers.NewSecret("code"),
		ClientSecrets: []providers.Secret{providers.NewSecret("first"), providers.NewSecret("second")}, RedirectURI: "http://127.0.0.1:8910/callback",
		ExpiresAt: ended, ProbeOrder: "100", ProbeKeyword: "試験", Quirks: json.RawMessage(`{"a":1}`),
	}
}

func fullGrant() providers.Grant {
	return providers.Grant{
		Access: providers.NewSecret("access"), Refresh: providers.NewSecret("refresh"), ObtainedAt: begun.UTC(), ExpiresAt: ended.UTC(),
		Account: "merchant", Origin: "0123456789abcdef", Base: "version-2",
	}
}

func TestDocuments_RoundTrip(t *testing.T) {
	t.Parallel()
	token := fullToken()
	token.Version = "not part of the document"
	got, err := providers.ParseToken(token.Document())
	token.Version = ""
	if err != nil || !reflect.DeepEqual(got, token) {
		t.Errorf("token %#v, %v; want %#v", got, err, token)
	}
	grant, err := providers.ParseGrant(fullGrant().Document())
	if err != nil || !reflect.DeepEqual(grant, fullGrant()) {
		t.Errorf("grant %#v, %v", grant, err)
	}
	connection, err := providers.ParseConnection(fullConnection().Document())
	if err != nil || !connection.ExpiresAt.Equal(ended) {
		t.Errorf("%v %v", connection.ExpiresAt, err)
	}
	connection.ExpiresAt = ended
	if !reflect.DeepEqual(connection, fullConnection()) {
		t.Errorf("connection %#v", connection)
	}
}

// Each field has the name that the documents promise to operators.
func TestDocuments_FieldNames(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		string(fullToken().Document()):                                           "account base base_url credential expires_at kind login_url obtained_at provider quirks",
		string(fullGrant().Document()):                                           "access_token account base expires_at obtained_at origin refresh_token",
		string(fullConnection().Document()):                                      "account api_key base_url client_id client_secrets code expires_at kind login_url probe_keyword probe_order provider quirks redirect_uri token_url",
		string(providers.Token{Credential: providers.NewSecret("x")}.Document()): "base_url credential expires_at kind obtained_at provider",
		string(providers.Grant{Access: providers.NewSecret("x")}.Document()):     "access_token expires_at obtained_at",
		string(providers.Connection{Provider: providers.Yappli}.Document()):      "base_url kind provider",
	} {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(document), &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(want) {
			if _, found := fields[name]; !found {
				t.Errorf("%s is missing in %s", name, document)
			}
			delete(fields, name)
		}
		for name := range fields {
			t.Errorf("%s is unexpected in %s", name, document)
		}
	}
}

func TestDocuments_UnknownEndIsNull(t *testing.T) {
	t.Parallel()
	token := fullToken()
	token.ExpiresAt = time.Time{}
	if document := string(token.Document()); !strings.Contains(document, `"expires_at":null`) {
		t.Error(document)
	}
	back, err := providers.ParseToken(token.Document())
	if err != nil || !back.ExpiresAt.IsZero() || back.Expired(ended.AddDate(100, 0, 0)) {
		t.Errorf("%v %v", back.ExpiresAt, err)
	}
	grant, err := providers.ParseGrant([]byte(`{"access_token":"a","obtained_at":"2026-11-22T03:30:00Z","expires_at":null}`))
	if err != nil || !grant.ExpiresAt.IsZero() || !grant.ObtainedAt.Equal(time.Date(2026, 11, 22, 3, 30, 0, 0, time.UTC)) {
		t.Errorf("%v %v", grant, err)
	}
	if document := string(fullToken().Document()); !strings.Contains(document, `"expires_at":"2027-03-31T14:59:59Z"`) {
		t.Errorf("times are not in UTC: %s", document)
	}
}

func TestDocuments_PlaceholdersAreAbsent(t *testing.T) {
	t.Parallel()
	for _, document := range []string{`{}`, `{"placeholder":"nothing yet"}`, `{"credential":"","access_token":""}`, `null`} {
		if _, err := providers.ParseToken([]byte(document)); !errors.Is(err, providers.ErrNotFound) {
			t.Errorf("token %s: %v", document, err)
		}
		if _, err := providers.ParseGrant([]byte(document)); !errors.Is(err, providers.ErrNotFound) {
			t.Errorf("grant %s: %v", document, err)
		}
	}
	for _, document := range []string{``, `{`, `[]`, `"x"`, `{"credential":1,"access_token":1,"provider":1}`, `{"obtained_at":"yesterday","expires_at":1}`} {
		_, tokenErr := providers.ParseToken([]byte(document))
		_, grantErr := providers.ParseGrant([]byte(document))
		_, connectionErr := providers.ParseConnection([]byte(document))
		for _, err := range []error{tokenErr, grantErr, connectionErr} {
			if !errors.Is(err, providers.ErrInvalid) || errors.Is(err, providers.ErrNotFound) {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}

// A kind that does not exist is the fault, and not what another kind would need.
func TestUnusable_AsksForNothingWhereTheKindIsUnknown(t *testing.T) {
	t.Parallel()
	c := providers.Connection{Provider: providers.SuperSaaS, Kind: "statik", BaseURL: "https://shop.example", APIKey: providers.NewSecret("k")}
	if faults := c.Unusable(); len(faults) > 0 {
		t.Errorf("faults %v; the kind is named elsewhere", faults)
	}
	if c.Kind = providers.ClientCredentials; len(c.Unusable()) != 2 {
		t.Errorf("faults %v, want client_id and client_secrets", c.Unusable())
	}
}

func TestParseConnection_RefusesABareDate(t *testing.T) {
	t.Parallel()
	for end, valid := range map[string]bool{
		"2027-03-31T23:59:59+09:00": true, "2027-03-31T14:59:59Z": true, "2027-03-31T14:59:59.5Z": true,
		"2027-03-31": false, "2027-03-31T23:59:59": false, "2027/03/31": false, "": false, "31 March 2027": false,
	} {
		c, err := providers.ParseConnection([]byte(`{"provider":"shopline","expires_at":"` + end + `","api_key":"canary-key"}`))
		if (err == nil) != valid || err != nil && (!errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "RFC 3339 with an offset") || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%q: %v", end, err)
		}
		if valid == c.ExpiresAt.IsZero() {
			t.Errorf("%q: %v", end, c.ExpiresAt)
		}
	}
	c, err := providers.ParseConnection([]byte(`{"provider":"shopline","expires_at":null}`))
	if err != nil || !c.ExpiresAt.IsZero() {
		t.Errorf("%v %v", c.ExpiresAt, err)
	}
	if document := string(fullConnection().Document()); !strings.Contains(document, `"expires_at":"2027-03-31T23:59:59+09:00"`) {
		t.Errorf("the operator's own offset is lost: %s", document)
	}
}

// No parser repeats what it read.
func TestDocuments_ErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, document := range []string{`{"credential":` + canary, `{"access_token":["` + canary + `"]}`, canary, `{"client_secrets":"` + canary + `"}`} {
		_, tokenErr := providers.ParseToken([]byte(document))
		_, grantErr := providers.ParseGrant([]byte(document))
		_, connectionErr := providers.ParseConnection([]byte(document))
		for _, err := range []error{tokenErr, grantErr, connectionErr} {
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Error(err)
			}
		}
	}
}

func FuzzDocuments(f *testing.F) {
	for _, document := range [][]byte{fullToken().Document(), fullGrant().Document(), fullConnection().Document(), []byte(`{}`), []byte(`{"expires_at":"2027-03-31"}`)} {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		if token, err := providers.ParseToken(document); err == nil {
			if again, err := providers.ParseToken(token.Document()); err != nil || again.Credential != token.Credential || !again.ExpiresAt.Equal(token.ExpiresAt) || again.Base != token.Base {
				t.Errorf("token: %v", err)
			}
		}
		if grant, err := providers.ParseGrant(document); err == nil {
			if again, err := providers.ParseGrant(grant.Document()); err != nil || again.Access != grant.Access || again.Refresh != grant.Refresh || !again.ExpiresAt.Equal(grant.ExpiresAt) {
				t.Errorf("grant: %v", err)
			}
		}
		if c, err := providers.ParseConnection(document); err == nil {
			if again, err := providers.ParseConnection(c.Document()); err != nil || again.Code != c.Code || again.APIKey != c.APIKey || len(again.ClientSecrets) != len(c.ClientSecrets) {
				t.Errorf("connection: %v", err)
			}
		}
	})
}

func TestFixed(t *testing.T) {
	t.Parallel()
	source := providers.Fixed(fullToken())
	token, err := source.Token(context.Background())
	if err != nil || token.Credential != fullToken().Credential {
		t.Errorf("%v %v", token, err)
	}
	if next, err := source.Rejected(context.Background(), token); !errors.Is(err, providers.ErrUnauthorized) || !next.Credential.Empty() {
		t.Errorf("%v %v", next, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	names := providers.Names()
	if strings.Join(names, " ") != "assisttencho yappli shopline actibook supersaas" {
		t.Error(names)
	}
	names[0] = "changed"
	if providers.Names()[0] != providers.AssistTencho {
		t.Error("a caller changed the list")
	}
}
