package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// asOther connects to an address as another user of the machine, asks for a page, and
// returns the first line of the answer.
func asOther(address string) (line string, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with who it was
		if err = syscall.Setfsuid(12345); err != nil {
			return
		}
		var c net.Conn
		if c, err = net.Dial("tcp", address); err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"); err != nil {
			return
		}
		if line, err = bufio.NewReader(c).ReadString('\n'); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			err = nil
		}
	}()
	<-done
	return line, err
}

// Nothing of a stack answers another user of the machine: the local AWS would hand out the
// secrets of a real account.
func TestDevStack_ServesItsOwnUserAlone(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can act as somebody else")
	}
	t.Parallel()
	home := newDevHome(t)
	d := home.start(t, "--records", "1")
	addresses := []string{d.Console, d.Webhook}
	for _, s := range d.Services {
		addresses = append(addresses, s.URL)
	}
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := asOther(u.Host); err != nil || line != "" {
			t.Errorf("%s answers another user %q (%v)", address, line, err)
		}
	}
}
