package awslocal

import (
	"errors"
	"net/http"
)

// secretBatches reads the values of several secrets.
type secretBatches struct{ *secretsManager }

const maxSecretBatch = 20

type batchSecretsInput struct {
	SecretIDList []string `json:"SecretIdList"`
	Filters      []secretFilter
	MaxResults   *int
	NextToken    string
}

type batchSecretFault struct {
	SecretID  string `json:"SecretId"`
	ErrorCode string
	Message   string
}

type batchSecrets struct {
	SecretValues []secretValue
	Errors       []batchSecretFault
	NextToken    string `json:",omitempty"`
}

// get serves BatchGetSecretValue: a secret that cannot be read does not stop
// the others.
func (s secretBatches) get(r *http.Request, in batchSecretsInput) (batchSecrets, error) {
	out := batchSecrets{SecretValues: []secretValue{}, Errors: []batchSecretFault{}}
	ids, next, err := s.asked(r, in)
	if err != nil {
		return out, err
	}
	out.NextToken = next
	for _, id := range ids {
		value, err := s.secretsManager.get(r, getSecretInput{secretID: secretID{id}})
		var no *refusal
		switch {
		case err == nil:
			out.SecretValues = append(out.SecretValues, value)
		case errors.As(refused(err), &no):
			out.Errors = append(out.Errors, batchSecretFault{id, no.Code, no.Message})
		default:
			return out, err
		}
	}
	return out, nil
}

// asked are the secrets that a call is about: those that it lists, or a page
// of those that its filters find.
func (s secretBatches) asked(r *http.Request, in batchSecretsInput) (ids []string, next string, err error) {
	size := maxSecretBatch
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	switch {
	case (len(in.SecretIDList) > 0) == (len(in.Filters) > 0):
		return nil, "", refuse("InvalidParameterException", "Either 'SecretIdList' or 'Filters' must be provided, but not both.")
	case len(in.SecretIDList) > maxSecretBatch:
		return nil, "", refuse("InvalidParameterException", "SecretIdList has at most %d secrets, not %d.", maxSecretBatch, len(in.SecretIDList))
	case len(in.SecretIDList) > 0 && (in.MaxResults != nil || in.NextToken != ""):
		return nil, "", refuse("InvalidParameterException", "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' or 'NextToken' is provided.")
	case len(in.SecretIDList) > 0:
		return in.SecretIDList, "", nil
	case size < 1 || size > maxSecretBatch:
		return nil, "", refuse("InvalidParameterException", "MaxResults must be between 1 and %d, not %d.", maxSecretBatch, size)
	}
	page, err := s.list(r, listSecretsInput{Filters: in.Filters, MaxResults: &size, NextToken: in.NextToken})
	for _, found := range page.SecretList {
		ids = append(ids, found.Name)
	}
	return ids, page.NextToken, err
}
