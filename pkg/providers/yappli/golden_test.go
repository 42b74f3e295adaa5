package yappli_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// multipartBody is what curl -F sends for name=value pairs.
func multipartBody(pairs ...string) string {
	var b strings.Builder
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		b.WriteString("--------------------------d74496d66958873e\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	return b.String() + "--------------------------d74496d66958873e--\r\n"
}

const multipartType = "multipart/form-data; boundary=------------------------d74496d66958873e"

// raw sends a request as bytes over a socket, without our client and without
// net/http's, and returns status and body.
func raw(t *testing.T, server, method, target, token, contentType, body string) (int, string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	head := method + " " + target + " HTTP/1.1\r\nHost: " + u.Host + "\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nConnection: close\r\n"
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	if contentType != "" {
		head += "Content-Type: " + contentType + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(got)
}

// TestDocumentedRequests replays every request example of the documents.
func TestDocumentedRequests(t *testing.T) {
	t.Parallel()
	s := yapplitest.New(sandbox.Options{Rate: -1, Records: 3})
	server := httptest.NewServer(s)
	defer server.Close()
	const form = "application/x-www-form-urlencoded"

	// アクセストークンの取得
	status, body := raw(t, server.URL, "POST", "/api/ext/token", "", form,
		"grant_type=client_credentials&client_id="+yapplitest.ClientID+"&client_secret="+yapplitest.ClientSecret)
	var token map[string]any
	if err := json.Unmarshal([]byte(body), &token); status != 200 || err != nil {
		t.Fatalf("token: %d %s", status, body)
	}
	// The properties of the example answer.
	access, _ := token["access_token"].(string)
	if access == "" || token["token_type"] != "bearer" || token["refresh_token"] == "" || token["expires_in"] != 86400.0 || token["scope"] != nil || len(token) != 5 {
		t.Errorf("token answer %s", body)
	}

	example := []string{"login_id=taro@crm.yapp.li", "password=pass1234", "rank=5", "column01=ヤプリ太郎", "colmun02=2000-12-31"}
	for _, c := range []struct {
		name, method, target, contentType, body string
		want                                    int
	}{
		{"list", "GET", "/api/ext/users", "", "", 200},
		{"get", "GET", "/api/ext/users/1001", "", "", 200},
		// 顧客登録: the example omits the unique_id that the table requires.
		{"create as printed", "POST", "/api/ext/users", multipartType, multipartBody(example...), 400},
		{"create", "POST", "/api/ext/users", multipartType, multipartBody(append(example, "unique_id=ss-1")...), 200},
		// 顧客更新
		{"update", "PUT", "/api/ext/users/1002", multipartType, multipartBody(example...), 200},
		// 引き継ぎトークンチェック
		{"check", "GET", "/api/ext/check/" + s.IssueHandover("1001") + "?id=1001", "", "", 200},
		{"without a token", "GET", "/api/ext/users", "", "", 401},
	} {
		bearer := access
		if c.want == 401 {
			bearer = ""
		}
		status, body := raw(t, server.URL, c.method, c.target, bearer, c.contentType, c.body)
		if status != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, status, c.want, body)
		}
		var document struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal([]byte(body), &document); err != nil {
			t.Errorf("%s: not JSON: %s", c.name, body)
		}
		if failed := c.want != 200; failed != (document.Error != "") || failed != (document.Description != "") {
			t.Errorf("%s: error document %s", c.name, body)
		}
	}
	m, _ := s.Find("1002")
	if m.Values["login_id"] != "taro@crm.yapp.li" || m.Values["password"] != "pass1234" || m.Values["rank"] != "5" ||
		m.Values["column01"] != "ヤプリ太郎" || m.Values["column02"] == "2000-12-31" || m.Values["colmun02"] != "" {
		t.Errorf("after the update: %v", m.Values)
	}
	if made := s.FindUnique("ss-1"); len(made) != 1 || made[0].ID != "1004" {
		t.Errorf("after the creation: %v", made)
	}
}
