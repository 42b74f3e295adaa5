package hostguard

import (
	"io"
	"net"
	"os"
	"sync"
)

// Own wraps a listener of the loopback so that it serves programs of this process's user
// and of the system's administrator alone: other people of the machine can connect to the
// loopback too. Where the system does not tell whose a connection is, it serves all.
func Own(listener net.Listener) net.Listener { return ownListener{listener} }

type ownListener struct{ net.Listener }

// Accept looks at nothing yet: who connects would wait for who connected before.
func (l ownListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &ownConn{Conn: c}, nil
}

type ownConn struct {
	net.Conn

	looked  sync.Once
	refused bool
}

// Read looks whose the connection is before it reads anything.
func (c *ownConn) Read(p []byte) (int, error) {
	c.looked.Do(func() {
		user, known := peerUser(c.RemoteAddr(), c.LocalAddr())
		c.refused = known && !trusted(user)
	})
	if c.refused {
		return 0, io.EOF // so that a server hangs up, and says nothing
	}
	return c.Conn.Read(p)
}

// trusted reports whether a user may reach what this process's user has: that user, the
// administrator, and who became administrator to start this.
func trusted(user uint32) bool {
	own := os.Getuid()
	if user == 0 || int64(user) == int64(own) {
		return true
	}
	person, known := loginUser()
	return own == 0 && known && user == person
}
