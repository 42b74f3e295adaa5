package hostguard_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"hikyaku/internal/hostguard"
)

// asOther makes this test's program a caller that prints what an address answers it.
const asOther = "HIKYAKU_TEST_CALL"

func TestMain(m *testing.M) {
	if address := os.Getenv(asOther); address != "" {
		fmt.Println(call(address))
		return
	}
	os.Exit(m.Run())
}

// call is the first line that a server answers; empty: it hangs up.
func call(address string) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"); err != nil {
		return ""
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestOwn_ServesItsOwnUserAlone(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := net.Listen("tcp", at)
		if err != nil {
			t.Logf("not here: %v", err)
			continue
		}
		served := 0
		server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ })}
		go func() { _ = server.Serve(hostguard.Own(listener)) }()
		t.Cleanup(func() { _ = server.Close() })
		if line := call(listener.Addr().String()); line != "HTTP/1.1 200 OK" {
			t.Errorf("at %s its own user is answered %q", at, line)
		}
		if os.Getuid() != 0 {
			continue // nobody else can be acted
		}
		other := exec.CommandContext(t.Context(), "/proc/self/exe")
		other.Env = []string{asOther + "=" + listener.Addr().String()}
		other.Dir = "/"
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
		out, err := other.CombinedOutput()
		if err != nil {
			t.Fatalf("calling as another user: %v, %s", err, out)
		}
		if line := strings.TrimSpace(string(out)); line != "" || served != 1 {
			t.Errorf("at %s another user is answered %q", at, line)
		}
	}
}
