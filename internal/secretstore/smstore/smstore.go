// Package smstore implements secretstore.Store on AWS Secrets Manager.
//
// Each method is one call of the service. The SDK's own retries are off for
// writes: a caller that must know whether its write happened repeats it with
// the same version id, which the service takes as the same write. Reads keep
// the SDK's retries.
//
// Values are written as SecretString, so that a person can read and edit them
// in the console; a SecretBinary is read too.
package smstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"

	"hikyaku/internal/secretstore"
)

// API is what a Store uses of *secretsmanager.Client.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
	CreateSecret(context.Context, *secretsmanager.CreateSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.CreateSecretOutput, error)
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

// A Store is a secretstore.Store on Secrets Manager, safe for concurrent use.
type Store struct {
	api API
	key string
}

var _ secretstore.Store = (*Store)(nil)

// New returns a Store that calls api, usually a *secretsmanager.Client. A secret that it
// makes is encrypted with the KMS key of this ARN; empty: with the service's own.
func New(api API, key string) *Store { return &Store{api: api, key: key} }

// Get reads the version under a stage.
func (s *Store) Get(ctx context.Context, name, stage string) (secretstore.Value, error) {
	return s.read(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: &stage})
}

// GetVersion reads a version by id.
func (s *Store) GetVersion(ctx context.Context, name, id string) (secretstore.Value, error) {
	return s.read(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name, VersionId: &id})
}

func (s *Store) read(ctx context.Context, in *secretsmanager.GetSecretValueInput) (secretstore.Value, error) {
	out, err := s.api.GetSecretValue(ctx, in)
	if err != nil {
		return secretstore.Value{}, mapped("reading", *in.SecretId, err, nil)
	}
	v := secretstore.Value{Version: version(aws.ToString(out.VersionId), out.VersionStages), Data: out.SecretBinary}
	v.Created = aws.ToTime(out.CreatedDate)
	if out.SecretString != nil {
		v.Data = []byte(*out.SecretString)
	}
	return v, nil
}

// Describe lists the versions that have a stage. The service does not say
// here when each was made, so Created is zero.
func (s *Store) Describe(ctx context.Context, name string) (secretstore.Description, error) {
	out, err := s.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	if err != nil {
		return secretstore.Description{}, mapped("describing", name, err, nil)
	}
	d := secretstore.Description{Rotating: aws.ToBool(out.RotationEnabled)}
	for id, stages := range out.VersionIdsToStages {
		if len(stages) > 0 {
			d.Versions = append(d.Versions, version(id, stages))
		}
	}
	return d, nil
}

func version(id string, stages []string) secretstore.Version {
	stages = slices.Clone(stages)
	slices.Sort(stages)
	return secretstore.Version{ID: id, Stages: stages}
}

// Create makes a secret with its first version.
func (s *Store) Create(ctx context.Context, name, id string, data []byte) error {
	in := &secretsmanager.CreateSecretInput{Name: &name, ClientRequestToken: &id, SecretString: aws.String(string(data))}
	if s.key != "" {
		in.KmsKeyId = &s.key
	}
	_, err := s.api.CreateSecret(ctx, in, once)
	return mapped("creating", name, err, nil)
}

// Put adds a version under the given stages.
func (s *Store) Put(ctx context.Context, name, id string, data []byte, stages ...string) error {
	if len(stages) == 0 {
		return fmt.Errorf("writing secret %s: %w: no stage given, and the service would move AWSCURRENT", name, secretstore.ErrInvalid)
	}
	_, err := s.api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &name, ClientRequestToken: &id, SecretString: aws.String(string(data)), VersionStages: stages,
	}, once)
	return mapped("writing", name, err, nil)
}

// Promote moves a stage by compare-and-swap.
func (s *Store) Promote(ctx context.Context, name, stage, to, from string) error {
	// These two are refused here, since the service answers them with the
	// same exception as a lost swap.
	if to == "" && (from == "" || stage == secretstore.Current) {
		return fmt.Errorf("moving %s of secret %s: %w: no version to move it to", stage, name, secretstore.ErrInvalid)
	}
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &name, VersionStage: &stage}
	if to != "" {
		in.MoveToVersionId = &to
	}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	_, err := s.api.UpdateSecretVersionStage(ctx, in, once)
	return mapped("moving "+stage+" of", name, err, map[string]error{"InvalidParameterException": secretstore.ErrConflict})
}

// once turns the SDK's retries off for a call.
func once(o *secretsmanager.Options) { o.Retryer = aws.NopRetryer{} }

// kinds maps the service's exceptions to the Store's errors. Throttling has
// many codes and is decided by the SDK's own list.
var kinds = map[string]error{
	"ResourceNotFoundException":           secretstore.ErrNotFound,
	"ResourceExistsException":             secretstore.ErrExists,
	"LimitExceededException":              secretstore.ErrLimit,
	"InvalidParameterException":           secretstore.ErrInvalid,
	"InvalidRequestException":             secretstore.ErrInvalid,
	"ValidationException":                 secretstore.ErrInvalid,
	"AccessDeniedException":               secretstore.ErrDenied,
	"DecryptionFailure":                   secretstore.ErrDenied,
	"EncryptionFailure":                   secretstore.ErrDenied,
	"UnrecognizedClientException":         secretstore.ErrDenied,
	"InvalidClientTokenId":                secretstore.ErrDenied,
	"ExpiredTokenException":               secretstore.ErrDenied,
	"InvalidSignatureException":           secretstore.ErrDenied,
	"IncompleteSignatureException":        secretstore.ErrDenied,
	"MissingAuthenticationToken":          secretstore.ErrDenied,
	"MissingAuthenticationTokenException": secretstore.ErrDenied,
}

// mapped names what failed and gives it one of the Store's errors where the
// service's answer is one. Of the answer only the exception's name is kept: its
// message may quote the request.
func mapped(doing, name string, err error, special map[string]error) error {
	if err == nil {
		return nil
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		if sent, ok := errors.AsType[*url.Error](err); ok {
			err = sent.Err // without the address
		}
		return fmt.Errorf("%s secret %s: %w", doing, name, err)
	}
	code := answer.ErrorCode()
	kind := cmp.Or(special[code], kinds[code])
	// The quota of versions goes first: the SDK's list has its code too.
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok && kind == nil {
		kind = secretstore.ErrThrottled
	}
	return fmt.Errorf("%s secret %s: %w (%s)", doing, name, cmp.Or(kind, errors.New("secrets manager failed")), code)
}
