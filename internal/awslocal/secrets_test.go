package awslocal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/secretstore"
)

func TestSecretsAreReadByNameARNVersionAndStage(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx, name := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("shop/yappli/token")
	made, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("first"), Description: aws.String("a token")})
	ok(t, "create", err)
	equal(t, "arn", strings.HasPrefix(*made.ARN, "arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:shop/yappli/token-"), true)
	equal(t, "suffix", len(*made.ARN)-strings.LastIndex(*made.ARN, "-"), 7)
	second, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretBinary: []byte{0, 1}})
	ok(t, "put", err)
	equal(t, "stages", strings.Join(second.VersionStages, " "), "AWSCURRENT")
	read := func(in secretsmanager.GetSecretValueInput) (string, error) {
		out, err := client.GetSecretValue(ctx, &in)
		if err != nil {
			return "", err
		}
		equal(t, "name", *out.Name+*out.ARN, *name+*made.ARN)
		return aws.ToString(out.SecretString) + string(out.SecretBinary) + " " + strings.Join(out.VersionStages, ","), nil
	}
	partial := aws.String(strings.TrimSuffix(*made.ARN, (*made.ARN)[len(*made.ARN)-7:]))
	for want, in := range map[string]secretsmanager.GetSecretValueInput{
		"\x00\x01 AWSCURRENT": {SecretId: name},
		"first AWSPREVIOUS":   {SecretId: partial, VersionStage: aws.String("AWSPREVIOUS")},
	} {
		got, err := read(in)
		ok(t, want, err)
		equal(t, "value", got, want)
	}
	got, err := read(secretsmanager.GetSecretValueInput{SecretId: made.ARN, VersionId: made.VersionId, VersionStage: aws.String("AWSPREVIOUS")})
	ok(t, "both", err)
	equal(t, "both", got, "first AWSPREVIOUS")
	for _, in := range []secretsmanager.GetSecretValueInput{
		{SecretId: name, VersionId: made.VersionId, VersionStage: aws.String("AWSCURRENT")}, {SecretId: name, VersionStage: aws.String("NONE")},
		{SecretId: aws.String("none")}, {SecretId: name, VersionId: aws.String(uuid.NewString())},
	} {
		_, err := read(in)
		code(t, "read", err, "ResourceNotFoundException")
	}
	_, err = client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: name, SecretString: aws.String("a"), SecretBinary: []byte("a")})
	code(t, "both forms", err, "InvalidParameterException")
	_, err = client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: name})
	code(t, "no form", err, "InvalidParameterException")
}

func TestSecretsAreDescribedAndListed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	a := start(t, awslocal.Options{Now: func() time.Time { return at }})
	client, ctx, name := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("b")
	first, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("1"), Description: aws.String("old")})
	ok(t, "create", err)
	empty, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("a")})
	ok(t, "create without a value", err)
	equal(t, "no version", empty.VersionId == nil, true)
	second, err := client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: name, SecretString: aws.String("2"), Description: aws.String("new")})
	ok(t, "update", err)
	third, err := client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: name, SecretString: aws.String("3")})
	ok(t, "update", err)
	noted, err := client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: name, Description: aws.String("newest")})
	ok(t, "describe anew", err)
	equal(t, "no version", noted.VersionId == nil, true)
	_, err = client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: aws.String("none"), Description: aws.String("x")})
	code(t, "update none", err, "ResourceNotFoundException")
	d, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: first.ARN})
	ok(t, "describe", err)
	equal(t, "description", *d.Description, "newest")
	equal(t, "created", d.CreatedDate.Equal(at), true)
	equal(t, "stages", fmt.Sprint(d.VersionIdsToStages), fmt.Sprint(map[string][]string{*third.VersionId: {"AWSCURRENT"}, *second.VersionId: {"AWSPREVIOUS"}}))
	for deprecated, n := range map[bool]int{false: 2, true: 3} {
		v, err := client.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: name, IncludeDeprecated: &deprecated})
		ok(t, "versions", err)
		equal(t, "versions", len(v.Versions), n)
		equal(t, "created", v.Versions[0].CreatedDate.Equal(at), true)
	}
	_, err = client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("none")})
	code(t, "describe none", err, "ResourceNotFoundException")
	_, err = client.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: aws.String("none")})
	code(t, "versions of none", err, "ResourceNotFoundException")
	gone, err := client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String("a"), RecoveryWindowInDays: aws.Int64(7)})
	ok(t, "delete", err)
	equal(t, "when", gone.DeletionDate.Equal(at.Add(7*24*time.Hour)), true)
	names := func(planned bool) (got []string) {
		l, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{IncludePlannedDeletion: &planned})
		ok(t, "list", err)
		for _, s := range l.SecretList {
			got = append(got, fmt.Sprint(*s.Name, len(s.SecretVersionsToStages), s.DeletedDate != nil))
		}
		return got
	}
	equal(t, "listed", strings.Join(names(false), ";"), "b2 false")
	equal(t, "listed with those that go", strings.Join(names(true), ";"), "a0 true;b2 false")
}

func TestSecretsAreDeletedAndRestored(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		client, ctx, name := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("s")
		create := func() error {
			_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x")})
			return err
		}
		remove := func(in secretsmanager.DeleteSecretInput) error {
			in.SecretId = name
			_, err := client.DeleteSecret(ctx, &in)
			return err
		}
		get := func() error {
			_, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: name})
			return err
		}
		ok(t, "create", create())
		for _, days := range []int64{-1, 0, 6, 31} {
			code(t, fmt.Sprint(days), remove(secretsmanager.DeleteSecretInput{RecoveryWindowInDays: &days}), "InvalidParameterException")
		}
		ok(t, "delete", remove(secretsmanager.DeleteSecretInput{}))
		code(t, "read a marked one", get(), "InvalidRequestException")
		code(t, "create a marked one", create(), "InvalidRequestException")
		_, err := client.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: name})
		ok(t, "restore", err)
		ok(t, "read", get())
		ok(t, "delete again", remove(secretsmanager.DeleteSecretInput{}))
		time.Sleep(30 * 24 * time.Hour)
		code(t, "read a deleted one", get(), "ResourceNotFoundException")
		force := secretsmanager.DeleteSecretInput{ForceDeleteWithoutRecovery: aws.Bool(true)}
		ok(t, "force on nothing", remove(force))
		ok(t, "create", create())
		ok(t, "force", remove(force))
		code(t, "read", get(), "ResourceNotFoundException")
		force.RecoveryWindowInDays = aws.Int64(7)
		code(t, "force with a window", remove(force), "InvalidParameterException")
	})
}

func TestTheTwinsKnobsShow(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, _ *awslocal.AWS) {
		throttled := false
		twin := &secretstore.Memory{ReadLag: time.Minute, Throttle: func(string, string) bool { return throttled }}
		a, err := awslocal.New(awslocal.Options{Secrets: twin})
		ok(t, "new", err)
		ok(t, "create", twin.Create(t.Context(), "s", uuid.NewString(), []byte("old")))
		time.Sleep(time.Hour)
		client := secretsmanager.NewFromConfig(config(a))
		read := func() string {
			out, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
			ok(t, "read", err)
			return *out.SecretString
		}
		_, err = client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("s"), SecretString: aws.String("new")})
		ok(t, "put", err)
		equal(t, "at once", read(), "old")
		time.Sleep(time.Minute)
		equal(t, "a minute later", read(), "new")
		throttled = true
		_, err = client.ListSecretVersionIds(t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: aws.String("s")})
		ok(t, "not counted by the twin", err)
		_, err = client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("s")})
		code(t, "throttled", err, "ThrottlingException")
	})
}

// rotator is a rotation function that works through its steps as AWS's
// templates do.
func rotator(a *awslocal.AWS, steps *[]string, failAt string) handler {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		var e struct{ Step, SecretId, ClientRequestToken, RotationToken string }
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, err
		}
		*steps = append(*steps, e.Step)
		if e.Step == failAt || e.RotationToken == "" {
			return nil, errors.New("asked to fail")
		}
		client := secretsmanager.NewFromConfig(config(a))
		switch e.Step {
		case "createSecret":
			_, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
				SecretId: &e.SecretId, ClientRequestToken: &e.ClientRequestToken, SecretString: aws.String("rotated"), VersionStages: []string{"AWSPENDING"}, RotationToken: &e.RotationToken,
			})
			return nil, err
		case "finishSecret":
			now, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &e.SecretId})
			if err != nil {
				return nil, err
			}
			_, err = client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
				SecretId: &e.SecretId, VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: &e.ClientRequestToken, RemoveFromVersionId: now.VersionId,
			})
			return nil, err
		}
		return nil, nil
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failAt    string
		now       *bool
		steps     string
		value     string
		isPending bool
	}{
		"whole":           {"", nil, "createSecret setSecret testSecret finishSecret", "rotated", true},
		"asked for now":   {"", aws.Bool(true), "createSecret setSecret testSecret finishSecret", "rotated", true},
		"failing":         {"setSecret", nil, "createSecret setSecret", "first", true},
		"failing at once": {"createSecret", nil, "createSecret", "first", true},
		"only tested":     {"", aws.Bool(false), "testSecret", "first", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, a *awslocal.AWS) {
				var steps []string
				ok(t, "register", a.Register(awslocal.Function{Name: "rotate", Handler: rotator(a, &steps, c.failAt)}))
				client, ctx, secret := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("s")
				_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: secret, SecretString: aws.String("first")})
				ok(t, "create", err)
				token := uuid.NewString()
				in := secretsmanager.RotateSecretInput{SecretId: secret, ClientRequestToken: &token, RotateImmediately: c.now, RotationLambdaARN: aws.String("arn:aws:lambda:ap-northeast-1:000000000000:function:rotate")}
				out, err := client.RotateSecret(ctx, &in)
				ok(t, "rotate", err)
				equal(t, "version", *out.VersionId, token)
				synctest.Wait()
				equal(t, "steps", strings.Join(steps, " "), c.steps)
				got, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: secret})
				ok(t, "get", err)
				equal(t, "value", *got.SecretString, c.value)
				d, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: secret})
				ok(t, "describe", err)
				equal(t, "rotating", *d.RotationEnabled, true)
				equal(t, "function", *d.RotationLambdaARN, *in.RotationLambdaARN)
				equal(t, "says when it was rotated", d.LastRotatedDate != nil, c.value == "rotated")
				equal(t, "pending", slices.Contains(d.VersionIdsToStages[token], "AWSPENDING"), c.isPending)
				if c.failAt == "createSecret" {
					_, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: secret, VersionStage: aws.String("AWSPENDING")})
					code(t, "the placeholder", err, "ResourceNotFoundException")
				}
				if c.failAt != "" {
					_, err := client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: secret})
					code(t, "while one runs", err, "InvalidRequestException")
				}
				before := len(steps)
				_, err = client.RotateSecret(ctx, &in)
				if c.isPending {
					ok(t, "the same again", err)
					synctest.Wait()
					equal(t, "steps", len(steps), before)
				}
				_, err = client.CancelRotateSecret(ctx, &secretsmanager.CancelRotateSecretInput{SecretId: secret})
				ok(t, "cancel", err)
				d, err = client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: secret})
				ok(t, "describe", err)
				equal(t, "rotating", *d.RotationEnabled, false)
				none := aws.String("none")
				_, err = client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: secret, RotationLambdaARN: none})
				code(t, "no such function", err, "InvalidRequestException")
				_, err = client.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: none, RotationLambdaARN: in.RotationLambdaARN})
				code(t, "no such secret", err, "ResourceNotFoundException")
			})
		})
	}
}
