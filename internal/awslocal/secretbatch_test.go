package awslocal_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"hikyaku/internal/awslocal"
)

func TestSeveralSecretsAreReadTogether(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx := secretsmanager.NewFromConfig(config(a)), t.Context()
	for _, name := range []string{"shop/a", "shop/b", "shop/c", "other"} {
		in := &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String("of " + name)}
		if name == "shop/c" {
			in.SecretString = nil // a secret without a value
		}
		_, err := client.CreateSecret(ctx, in)
		ok(t, name, err)
	}
	said := func(out *secretsmanager.BatchGetSecretValueOutput) string {
		all := make([]string, 0, len(out.SecretValues)+len(out.Errors))
		for _, v := range out.SecretValues {
			all = append(all, *v.Name+" "+*v.SecretString+" "+strings.Join(v.VersionStages, ","))
		}
		for _, e := range out.Errors {
			all = append(all, *e.SecretId+" "+*e.ErrorCode)
		}
		return strings.Join(all, "; ")
	}
	listed, err := client.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{"other", "none", "shop/a"}})
	ok(t, "listed", err)
	equal(t, "listed", said(listed), "other of other AWSCURRENT; shop/a of shop/a AWSCURRENT; none ResourceNotFoundException")
	var pages []string
	byName := []smtypes.Filter{{Key: "name", Values: []string{"shop/"}}}
	for p := secretsmanager.NewBatchGetSecretValuePaginator(client, &secretsmanager.BatchGetSecretValueInput{Filters: byName, MaxResults: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		ok(t, "page", err)
		pages = append(pages, said(page))
	}
	equal(t, "found", strings.Join(pages, " | "), "shop/a of shop/a AWSCURRENT; shop/b of shop/b AWSCURRENT | shop/c ResourceNotFoundException")
	for _, wrong := range []secretsmanager.BatchGetSecretValueInput{
		{}, {SecretIdList: []string{"a"}, Filters: byName}, {SecretIdList: make([]string, 21)}, {SecretIdList: []string{"a"}, MaxResults: aws.Int32(1)},
		{Filters: byName, MaxResults: aws.Int32(21)}, {Filters: []smtypes.Filter{{Key: "color", Values: []string{"red"}}}},
	} {
		_, err := client.BatchGetSecretValue(ctx, &wrong)
		code(t, fmt.Sprint(wrong), err, "InvalidParameterException")
	}
}
