package awslocal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/secretstore"
)

// Tools look at the messages, too.
func TestSecretsAreRefusedInTheServicesWords(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx, name, none, id := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("s"), aws.String("none"), uuid.NewString()
	create := func() error {
		_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x")})
		return err
	}
	get := func(in secretsmanager.GetSecretValueInput) error {
		_, err := client.GetSecretValue(ctx, &in)
		return err
	}
	says := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	says(get(secretsmanager.GetSecretValueInput{SecretId: none}), "Secrets Manager can't find the specified secret.")
	ok(t, "create", create())
	says(create(), "The operation failed because the secret s already exists.")
	says(get(secretsmanager.GetSecretValueInput{SecretId: name, VersionStage: none}), "Secrets Manager can't find the specified secret value for staging label: none")
	says(get(secretsmanager.GetSecretValueInput{SecretId: name, VersionId: &id}), "Secrets Manager can't find the specified secret value for VersionId: "+id)
	_, err := client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: name})
	ok(t, "delete", err)
	says(get(secretsmanager.GetSecretValueInput{SecretId: name}), "You can't perform this operation on the secret because it was marked for deletion.")
	says(create(), "You can't create this secret because a secret with this name is already scheduled for deletion.")
}

// tagsOfSecret writes tags as k=v.
func tagsOfSecret(tags []smtypes.Tag) string {
	all := make([]string, 0, len(tags))
	for _, tag := range tags {
		all = append(all, *tag.Key+"="+*tag.Value)
	}
	return strings.Join(all, " ")
}

func TestASecretThatWaitsForItsDeletionIsRemovedByForce(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx, name := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("s")
	create := func() error {
		_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x"), Description: aws.String("the first")})
		return err
	}
	ok(t, "create", create())
	_, err := client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: name})
	ok(t, "delete", err)
	_, err = client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: name})
	code(t, "delete again", err, "InvalidRequestException")
	_, err = client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: name, ForceDeleteWithoutRecovery: aws.Bool(true)})
	ok(t, "by force", err)
	_, err = client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: name})
	code(t, "describe", err, "ResourceNotFoundException")
	_, err = client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x")})
	ok(t, "create anew", err)
	d, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: name})
	ok(t, "describe anew", err)
	equal(t, "the old description is gone", d.Description == nil, true)
}

func TestTagsAndKeysOfSecretsAreKept(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx, name := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("s")
	tag := func(pairs ...string) (tags []smtypes.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			tags = append(tags, smtypes.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return tags
	}
	described := func() (string, string) {
		d, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: name})
		ok(t, "describe", err)
		l, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
		ok(t, "list", err)
		equal(t, "listed as described", tagsOfSecret(l.SecretList[0].Tags)+aws.ToString(l.SecretList[0].KmsKeyId), tagsOfSecret(d.Tags)+aws.ToString(d.KmsKeyId))
		return tagsOfSecret(d.Tags), aws.ToString(d.KmsKeyId)
	}
	_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x"), Tags: tag("team", "shop", "stage", "test"), KmsKeyId: aws.String("alias/shop")})
	ok(t, "create", err)
	tags, key := described()
	equal(t, "created", tags+" "+key, "team=shop stage=test alias/shop")
	_, err = client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: name, Tags: tag("stage", "live", "owner", "")})
	ok(t, "tag", err)
	_, err = client.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: name, TagKeys: []string{"team", "none"}})
	ok(t, "untag", err)
	_, err = client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: name, KmsKeyId: aws.String("alias/aws/secretsmanager")})
	ok(t, "update", err)
	tags, key = described()
	equal(t, "changed", tags+" "+key, "stage=live owner= ")
	var many []smtypes.Tag
	for i := range 49 {
		many = append(many, tag(fmt.Sprint(i), "")...)
	}
	for doing, wrong := range map[string][]smtypes.Tag{
		"InvalidParameterException aws:":    tag("aws:x", "y"),
		"InvalidParameterException twice":   tag("x", "y", "x", "z"),
		"InvalidParameterException empty":   tag("", "y"),
		"InvalidParameterException long":    tag("x", strings.Repeat("v", 257)),
		"LimitExceededException 51 of them": many,
	} {
		want, _, _ := strings.Cut(doing, " ")
		_, err := client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: name, Tags: wrong})
		code(t, doing, err, want)
		_, err = client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("other"), SecretString: aws.String("x"), Tags: append(tag("a", "", "b", ""), wrong...)})
		code(t, doing, err, want)
	}
	_, err = client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String("other")})
	code(t, "refused before it was there", err, "ResourceNotFoundException")
	_, err = client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: aws.String("none"), Tags: tag("a", "b")})
	code(t, "tag none", err, "ResourceNotFoundException")
	_, err = client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: name})
	ok(t, "delete", err)
	_, err = client.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: name, TagKeys: []string{"stage"}})
	code(t, "untag one that goes", err, "InvalidRequestException")
}

func TestDescribeSecretSaysWhenAndNothingElse(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	begin := at
	a := start(t, awslocal.Options{Now: func() time.Time { return at }})
	client, ctx, name := secretsmanager.NewFromConfig(config(a)), t.Context(), aws.String("s")
	_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("x")})
	ok(t, "create", err)
	describe := func() *secretsmanager.DescribeSecretOutput {
		d, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: name})
		ok(t, "describe", err)
		return d
	}
	d := describe()
	equal(t, "changed", d.LastChangedDate.Equal(begin), true)
	for what, shown := range map[string]bool{
		"rotation": d.RotationEnabled != nil, "function": d.RotationLambdaARN != nil, "description": d.Description != nil, "key": d.KmsKeyId != nil,
		"access": d.LastAccessedDate != nil, "rotated": d.LastRotatedDate != nil, "deleted": d.DeletedDate != nil, "tags": d.Tags != nil,
	} {
		equal(t, what, shown, false)
	}
	version := uuid.NewString()
	for doing, change := range map[string]func() error{
		"put": func() error {
			_, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: name, SecretString: aws.String("y"), ClientRequestToken: &version, VersionStages: []string{"NEXT"}})
			return err
		},
		"update": func() error {
			_, err := client.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: name, Description: aws.String("d")})
			return err
		},
		"tag": func() error {
			_, err := client.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: name, Tags: []smtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
			return err
		},
		"delete": func() error {
			_, err := client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: name})
			if err == nil {
				_, err = client.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: name})
			}
			return err
		},
	} {
		at = at.Add(time.Hour)
		ok(t, doing, change())
		equal(t, doing, describe().LastChangedDate.Equal(at), true)
	}
	changed := at
	at = at.Add(48 * time.Hour)
	_, err = client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: name})
	ok(t, "read", err)
	d = describe()
	equal(t, "reading changes nothing", d.LastChangedDate.Equal(changed), true)
	equal(t, "the day of the reading", d.LastAccessedDate.Equal(at.Truncate(24*time.Hour)), true)
}

func TestSecretsAreFoundByFilters(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx := secretsmanager.NewFromConfig(config(a)), t.Context()
	for _, s := range []struct{ name, description, key, value string }{
		{"shop/yappli", "Token of the app", "team", "Shop"}, {"shop/supersaas", "token of bookings", "Team", "shop"}, {"other", "", "", ""},
	} {
		in := &secretsmanager.CreateSecretInput{Name: &s.name, SecretString: aws.String("x")}
		if s.description != "" {
			in.Description, in.Tags = &s.description, []smtypes.Tag{{Key: &s.key, Value: &s.value}}
		}
		_, err := client.CreateSecret(ctx, in)
		ok(t, "create", err)
	}
	find := func(filters ...smtypes.Filter) (string, error) {
		var names []string
		l, err := client.ListSecrets(ctx, &secretsmanager.ListSecretsInput{Filters: filters, SortBy: "name"})
		if err != nil {
			return "", err
		}
		for _, s := range l.SecretList {
			names = append(names, *s.Name)
		}
		return strings.Join(names, " "), nil
	}
	by := func(key string, values ...string) smtypes.Filter {
		return smtypes.Filter{Key: smtypes.FilterNameStringType(key), Values: values}
	}
	for _, c := range []struct {
		filters []smtypes.Filter
		want    string
	}{
		{[]smtypes.Filter{by("name", "shop/")}, "shop/supersaas shop/yappli"},
		{[]smtypes.Filter{by("name", "SHOP/")}, ""},
		{[]smtypes.Filter{by("name", "other", "shop/y")}, "other shop/yappli"},
		{[]smtypes.Filter{by("name", "!shop/")}, "other"},
		{[]smtypes.Filter{by("description", "APP token")}, "shop/yappli"},
		{[]smtypes.Filter{by("description", "token")}, "shop/supersaas shop/yappli"},
		{[]smtypes.Filter{by("description", "oken")}, ""},
		{[]smtypes.Filter{by("tag-key", "te")}, "shop/yappli"},
		{[]smtypes.Filter{by("tag-value", "sh")}, "shop/supersaas"},
		{[]smtypes.Filter{by("tag-key", "te"), by("name", "other")}, ""},
		{[]smtypes.Filter{by("primary-region", "ap-")}, "other shop/supersaas shop/yappli"},
		{[]smtypes.Filter{by("owning-service", "rds")}, ""},
		{[]smtypes.Filter{by("all", "SHOP")}, "shop/supersaas shop/yappli"},
		{[]smtypes.Filter{by("all", "bookings")}, "shop/supersaas"},
	} {
		got, err := find(c.filters...)
		ok(t, c.want, err)
		equal(t, fmt.Sprint(c.filters), got, c.want)
	}
	for _, wrong := range [][]smtypes.Filter{
		{by("color", "red")}, {by("", "red")}, {by("name")}, {by("name", strings.Split(strings.Repeat("x,", 10), ",")...)}, make([]smtypes.Filter, 11),
	} {
		_, err := find(wrong...)
		code(t, fmt.Sprint(wrong), err, "InvalidParameterException")
	}
}

func TestSecretsAreListedInPages(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	twin := &secretstore.Memory{Now: func() time.Time { return at }}
	a := start(t, awslocal.Options{Secrets: twin})
	client, ctx := secretsmanager.NewFromConfig(config(a)), t.Context()
	for _, name := range []string{"c", "a", "d", "b", "e"} {
		at = at.Add(time.Second)
		ok(t, name, twin.Create(ctx, name, uuid.NewString(), []byte("x")))
	}
	ok(t, "change", twin.Put(ctx, "a", uuid.NewString(), []byte("y"), secretstore.Current))
	pages := func(in secretsmanager.ListSecretsInput, beside func()) string {
		var names strings.Builder
		in.MaxResults = aws.Int32(2)
		for p := secretsmanager.NewListSecretsPaginator(client, &in); p.HasMorePages(); {
			page, err := p.NextPage(ctx)
			ok(t, "page", err)
			for _, s := range page.SecretList {
				names.WriteString(*s.Name)
			}
			names.WriteString(" ")
			if beside != nil {
				beside()
				beside = nil
			}
		}
		return names.String()
	}
	equal(t, "as they came", pages(secretsmanager.ListSecretsInput{}, nil), "ca db e ")
	equal(t, "the newest first", pages(secretsmanager.ListSecretsInput{SortOrder: "desc"}, nil), "eb da c ")
	equal(t, "by name", pages(secretsmanager.ListSecretsInput{SortBy: "name"}, nil), "ab cd e ")
	equal(t, "by change", pages(secretsmanager.ListSecretsInput{SortBy: "last-changed-date"}, nil), "cd ba e ")
	equal(t, "while others go", pages(secretsmanager.ListSecretsInput{SortBy: "name"}, func() { ok(t, "delete", twin.Delete(ctx, "b", 0)) }), "ab cd e ")
	for wrong, in := range map[string]secretsmanager.ListSecretsInput{
		"InvalidParameterException many":  {MaxResults: aws.Int32(101)},
		"InvalidParameterException order": {SortOrder: "up"},
		"InvalidParameterException by":    {SortBy: "color"},
		"InvalidNextTokenException":       {NextToken: aws.String("!")},
	} {
		want, _, _ := strings.Cut(wrong, " ")
		_, err := client.ListSecrets(ctx, &in)
		code(t, wrong, err, want)
	}
}

func TestRandomPasswords(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client := secretsmanager.NewFromConfig(config(a))
	get := func(in secretsmanager.GetRandomPasswordInput) (string, error) {
		out, err := client.GetRandomPassword(t.Context(), &in)
		if err != nil {
			return "", err
		}
		return *out.RandomPassword, nil
	}
	const lower, upper, digits, marks = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	one, err := get(secretsmanager.GetRandomPasswordInput{})
	ok(t, "default", err)
	other, err := get(secretsmanager.GetRandomPasswordInput{})
	ok(t, "another", err)
	equal(t, "length", len(one), 32)
	equal(t, "another each time", one == other, false)
	for range 50 {
		short, err := get(secretsmanager.GetRandomPasswordInput{PasswordLength: aws.Int64(4)})
		ok(t, "short", err)
		for _, kind := range []string{lower, upper, digits, marks} {
			equal(t, "one of each kind in "+short, strings.ContainsAny(short, kind), true)
		}
	}
	for allowed, in := range map[string]secretsmanager.GetRandomPasswordInput{
		digits:        {ExcludeLowercase: aws.Bool(true), ExcludeUppercase: aws.Bool(true), ExcludePunctuation: aws.Bool(true)},
		lower + " ":   {ExcludeNumbers: aws.Bool(true), ExcludeUppercase: aws.Bool(true), ExcludePunctuation: aws.Bool(true), IncludeSpace: aws.Bool(true)},
		"xyz" + upper: {ExcludeNumbers: aws.Bool(true), ExcludePunctuation: aws.Bool(true), ExcludeCharacters: aws.String(lower[:23])},
	} {
		in.PasswordLength = aws.Int64(4096)
		got, err := get(in)
		ok(t, allowed, err)
		equal(t, allowed, strings.Trim(got, allowed), "")
		equal(t, allowed, len(got), 4096)
	}
	free, err := get(secretsmanager.GetRandomPasswordInput{PasswordLength: aws.Int64(1), RequireEachIncludedType: aws.Bool(false)})
	ok(t, "one character", err)
	equal(t, "length", len(free), 1)
	for _, wrong := range []secretsmanager.GetRandomPasswordInput{
		{PasswordLength: aws.Int64(0)}, {PasswordLength: aws.Int64(4097)}, {PasswordLength: aws.Int64(3)},
		{ExcludeNumbers: aws.Bool(true), ExcludeLowercase: aws.Bool(true), ExcludeUppercase: aws.Bool(true), ExcludePunctuation: aws.Bool(true)},
	} {
		_, err := get(wrong)
		code(t, "password", err, "InvalidParameterException")
	}
}
