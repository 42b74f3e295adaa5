package clibase

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"hikyaku/internal/locale"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// A LogLine is a line of a log group.
type LogLine struct {
	ID   string
	At   time.Time
	Text string
}

// filterRequest and filterAnswer are those of FilterLogEvents.
type filterRequest struct {
	Group string `json:"logGroupName"`
	Start int64  `json:"startTime"` // milliseconds
	Token string `json:"nextToken,omitempty"`
}

type filterAnswer struct {
	Events []struct {
		ID   string `json:"eventId"`
		At   int64  `json:"timestamp"`
		Text string `json:"message"`
	} `json:"events"`
	Token string `json:"nextToken"`
}

const (
	logTries   = 4 // of a page
	mostAnswer = 16 << 20
	noGroup    = "ResourceNotFoundException"
)

// Logs are the lines of a log group since a time, the oldest first; of a group that is not
// there yet none. CloudWatch Logs is asked without the SDK's client, which alone would make
// the command 3.7 MB larger for this one call.
func (s *Stack) Logs(ctx context.Context, group string, since time.Time) (lines []LogLine, err error) {
	in := filterRequest{Group: group, Start: since.UnixMilli()}
	for {
		var page filterAnswer
		switch err := s.askLogs(ctx, "FilterLogEvents", in, &page); {
		case err != nil && isCode(err, noGroup):
			return lines, nil
		case err != nil:
			return lines, err
		}
		for _, e := range page.Events {
			lines = append(lines, LogLine{e.ID, time.UnixMilli(e.At), strings.TrimRight(e.Text, "\n")})
		}
		if in.Token = page.Token; in.Token == "" {
			return lines, nil
		}
	}
}

func isCode(err error, code string) bool {
	var refused smithy.APIError
	return errors.As(err, &refused) && refused.ErrorCode() == code
}

// askLogs makes one call, again where it may succeed later.
func (s *Stack) askLogs(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		again, err := s.askLogsOnce(ctx, operation, body, out)
		if err == nil || !again || try == logTries {
			return err
		}
		select {
		case <-time.After(time.Duration(try*try) * 200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Stack) askLogsOnce(ctx context.Context, operation string, body []byte, out any) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.logsEndpoint(), bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	credentials, err := s.Config.Credentials.Retrieve(ctx)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), "logs", s.Config.Region, time.Now()); err != nil {
		return false, err
	}
	client := s.Config.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return true, locale.Errorf("asking CloudWatch Logs: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return true, locale.Errorf("asking CloudWatch Logs: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return false, json.Unmarshal(raw, out)
	}
	var refused struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(raw, &refused) // what is not JSON has no code
	code := cmp.Or(refused.Type[strings.LastIndexByte(refused.Type, '#')+1:], response.Status)
	again = response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests || strings.Contains(code, "Throttl")
	return again, &smithy.GenericAPIError{Code: code, Message: refused.Message}
}

// logsEndpoint is where CloudWatch Logs answers.
func (s *Stack) logsEndpoint() string {
	if s.Config.BaseEndpoint != nil {
		return aws.ToString(s.Config.BaseEndpoint)
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(s.Config.Region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://logs." + s.Config.Region + "." + domain + "/"
}
