package smstore_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/secretstore/smstore"
)

// A service answers every request alike and keeps the last one's body.
type service struct {
	status   int
	answer   string
	fail     error
	requests int
	body     string
	key      string // of the store
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.body = string(body)
	if s.fail != nil {
		return nil, s.fail
	}
	return &http.Response{
		StatusCode: s.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(strings.NewReader(s.answer)), Request: r,
	}, nil
}

func (s *service) store() *smstore.Store {
	return smstore.New(secretsmanager.New(secretsmanager.Options{
		Region: "ap-northeast-1", BaseEndpoint: aws.String("http://secrets.test"), HTTPClient: &http.Client{Transport: s},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.NewExponentialJitterBackoff(1)
		}),
	}), s.key)
}

// calls are the methods of a Store, each with how often it tries.
var calls = map[string]struct {
	run   func(*testing.T, *smstore.Store) error
	tries int
}{
	"get": {func(t *testing.T, s *smstore.Store) error {
		_, err := s.Get(t.Context(), "n", "S")
		return err
	}, 3},
	"get version": {func(t *testing.T, s *smstore.Store) error {
		_, err := s.GetVersion(t.Context(), "n", "v")
		return err
	}, 3},
	"describe": {func(t *testing.T, s *smstore.Store) error {
		_, err := s.Describe(t.Context(), "n")
		return err
	}, 3},
	"create": {func(t *testing.T, s *smstore.Store) error {
		return s.Create(t.Context(), "n", uuid.NewString(), []byte("canary"))
	}, 1},
	"put": {func(t *testing.T, s *smstore.Store) error {
		return s.Put(t.Context(), "n", uuid.NewString(), []byte("canary"), "S")
	}, 1},
	"promote": {func(t *testing.T, s *smstore.Store) error { return s.Promote(t.Context(), "n", "S", "b", "a") }, 1},
}

// A secret is made with the key that the store was given, and with the service's own
// where there is none; another version of it needs no key.
func TestCreate_NamesTheKey(t *testing.T) {
	t.Parallel()
	for key, named := range map[string]bool{"": false, "arn:aws:kms:ap-northeast-1:123456789012:key/0": true} {
		s := &service{status: http.StatusOK, answer: "{}", key: key}
		if err := calls["create"].run(t, s.store()); err != nil {
			t.Error(err)
		}
		if strings.Contains(s.body, "KmsKeyId") != named || !strings.Contains(s.body, key) {
			t.Errorf("with the key %q %s is sent", key, s.body)
		}
		if err := calls["put"].run(t, s.store()); err != nil || strings.Contains(s.body, "KmsKeyId") {
			t.Errorf("a version is put with %s, %v", s.body, err)
		}
	}
}

func TestWritesAreTriedOnce(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		s := &service{status: http.StatusInternalServerError, answer: `{"__type":"InternalServiceError","message":"canary"}`}
		err := call.run(t, s.store())
		if s.requests != call.tries {
			t.Errorf("%s was tried %d times, want %d", name, s.requests, call.tries)
		}
		for _, kind := range []error{secretstore.ErrNotFound, secretstore.ErrExists, secretstore.ErrConflict, secretstore.ErrLimit, secretstore.ErrThrottled, secretstore.ErrInvalid, secretstore.ErrDenied} {
			if err == nil || errors.Is(err, kind) {
				t.Errorf("%s: error %v for an outage", name, err)
			}
		}
	}
}

func TestExceptionsBecomeTheStoresErrors(t *testing.T) {
	t.Parallel()
	for code, kind := range map[string]error{
		"ResourceNotFoundException":   secretstore.ErrNotFound,
		"ResourceExistsException":     secretstore.ErrExists,
		"LimitExceededException":      secretstore.ErrLimit,
		"InvalidParameterException":   secretstore.ErrInvalid,
		"InvalidRequestException":     secretstore.ErrInvalid,
		"ValidationException":         secretstore.ErrInvalid,
		"AccessDeniedException":       secretstore.ErrDenied,
		"DecryptionFailure":           secretstore.ErrDenied,
		"EncryptionFailure":           secretstore.ErrDenied,
		"UnrecognizedClientException": secretstore.ErrDenied,
		"ExpiredTokenException":       secretstore.ErrDenied,
		"ThrottlingException":         secretstore.ErrThrottled,
		"TooManyRequestsException":    secretstore.ErrThrottled,
	} {
		for name, call := range calls {
			want := kind
			if name == "promote" && code == "InvalidParameterException" {
				want = secretstore.ErrConflict // the lost swap
			}
			s := &service{status: http.StatusBadRequest, answer: `{"__type":"` + code + `","message":"canary"}`}
			err := call.run(t, s.store())
			if !errors.Is(err, want) {
				t.Errorf("%s answered by %s: error %v, want %v", name, code, err, want)
			}
			if text := err.Error(); strings.Contains(text, "canary") || !strings.Contains(text, code) || !strings.Contains(text, "secret n: ") {
				t.Errorf("%s answered by %s: error text %q", name, code, text)
			}
		}
	}
}

func TestConnectionFaultsKeepTheirCauseButNoAddress(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	for name, call := range calls {
		s := &service{fail: cause}
		if err := call.run(t, s.store()); !errors.Is(err, cause) || strings.Contains(err.Error(), "secrets.test") {
			t.Errorf("%s: error %v, want the cause without the address", name, err)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"VersionId":"v","VersionStages":["Z","A"],"SecretString":"文字","CreatedDate":1795000000.5}`:   "文字",
		`{"VersionId":"v","VersionStages":["Z","A"],"SecretBinary":"AAE=","CreatedDate":1795000000.5}`: "\x00\x01",
	} {
		s := &service{status: http.StatusOK, answer: answer}
		v, err := s.store().Get(t.Context(), "n", "Z")
		if err != nil || v.ID != "v" || string(v.Data) != want || strings.Join(v.Stages, " ") != "A Z" || v.Created.UnixMilli() != 1795000000500 {
			t.Errorf("value = %+v, %v", v, err)
		}
		if s.body != `{"SecretId":"n","VersionStage":"Z"}` {
			t.Errorf("request = %s", s.body)
		}
	}
	s := &service{status: http.StatusOK, answer: `{"RotationEnabled":true,"VersionIdsToStages":{"a":["X"],"b":[]}}`}
	d, err := s.store().Describe(t.Context(), "n")
	if err != nil || !d.Rotating || len(d.Versions) != 1 || d.Versions[0].ID != "a" || !d.Versions[0].Has("X") {
		t.Errorf("description = %+v, %v", d, err)
	}
}

func TestPromoteNamesOnlyWhatIsMeant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ to, from, want string }{
		{"b", "a", `{"MoveToVersionId":"b","RemoveFromVersionId":"a","SecretId":"n","VersionStage":"S"}`},
		{"b", "", `{"MoveToVersionId":"b","SecretId":"n","VersionStage":"S"}`},
		{"", "a", `{"RemoveFromVersionId":"a","SecretId":"n","VersionStage":"S"}`},
	} {
		s := &service{status: http.StatusOK, answer: `{}`}
		if err := s.store().Promote(t.Context(), "n", "S", c.to, c.from); err != nil || s.body != c.want {
			t.Errorf("request = %s, %v, want %s", s.body, err, c.want)
		}
	}
}

func TestMeaninglessWritesAreNotSent(t *testing.T) {
	t.Parallel()
	s := &service{status: http.StatusOK, answer: `{}`}
	for name, err := range map[string]error{
		"put without a stage":  s.store().Put(t.Context(), "n", uuid.NewString(), []byte("x")),
		"promote none to none": s.store().Promote(t.Context(), "n", "S", "", ""),
		"promote current away": s.store().Promote(t.Context(), "n", secretstore.Current, "", "a"),
	} {
		if !errors.Is(err, secretstore.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if s.requests != 0 {
		t.Errorf("%d requests were sent", s.requests)
	}
}
