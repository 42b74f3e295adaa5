package awslocal_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
)

// What a function logs is read as CloudWatch Logs shows it, page by page, and by time.
func TestLogs_AreReadByPageAndTime(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	a, err := awslocal.Start(t.Context(), awslocal.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		a.Log("export", fmt.Sprintf("line %d", n))
		now = now.Add(time.Second)
	}
	ask := func(body string) string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Amz-Target", "Logs_20140328.FilterLogEvents")
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var text strings.Builder
		_ = response.Write(&text)
		return text.String()
	}
	first := ask(`{"logGroupName":"/hikyaku/x/export","limit":2}`)
	if !strings.Contains(first, "line 0") || !strings.Contains(first, "line 1") || strings.Contains(first, "line 2") || !strings.Contains(first, `"nextToken":"Mg"`) {
		t.Errorf("the first page is %s", first)
	}
	a.Log("export", "line 5")
	if second := ask(`{"logGroupName":"/hikyaku/x/export","limit":3,"nextToken":"Mg"}`); !strings.Contains(second, "line 2") || !strings.Contains(second, "line 4") || strings.Contains(second, "line 1") || strings.Contains(second, "line 5") {
		t.Errorf("the second page is %s", second)
	}
	if some := ask(`{"logGroupName":"/hikyaku/x/export","startTime":1800000001000,"endTime":1800000002000}`); !strings.Contains(some, "line 1") || !strings.Contains(some, "line 2") || strings.Contains(some, "line 0") || strings.Contains(some, "line 3") {
		t.Errorf("of two seconds it shows %s", some)
	}
	for body, want := range map[string]string{
		`{"logGroupName":"/hikyaku/x/relay"}`: "ResourceNotFoundException", `{"logGroupName":"/hikyaku/x/export","nextToken":"?"}`: "InvalidParameterException",
		`{"logGroupName":"/hikyaku/x/export","filterPattern":"x"}`: "InvalidParameterException",
	} {
		if got := ask(body); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	for n := range 20_100 { // the oldest make room
		a.Log("export", fmt.Sprintf("many %d", n))
	}
	if got := ask(`{"logGroupName":"/hikyaku/x/export","limit":1}`); !strings.Contains(got, "many 100\"") {
		t.Errorf("the oldest line is %s", got)
	}
}
