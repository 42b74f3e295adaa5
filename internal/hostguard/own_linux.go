package hostguard

import (
	"encoding/binary"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What inet_diag(7) of Linux calls things.
const (
	sockDiag       = 4  // NETLINK_SOCK_DIAG
	byFamily       = 20 // SOCK_DIAG_BY_FAMILY
	headerLength   = 16
	requestLength  = 56
	userOffset     = headerLength + 64
	inodeOffset    = headerLength + 68
	noOne          = 65534 // a user of another user namespace
	answerPatience = time.Second
)

// peerUser asks the kernel whose socket is at the other end of a connection within this
// machine. One that is closed already is nobody's, and so is not served.
func peerUser(peer, own net.Addr) (user uint32, known bool) {
	from, isTCP := peer.(*net.TCPAddr)
	to, isTCPToo := own.(*net.TCPAddr)
	if !isTCP || !isTCPToo || !from.IP.IsLoopback() {
		return 0, false
	}
	answer, err := askKernel(question(from, to))
	switch {
	case err != nil || len(answer) < headerLength:
		return 0, false
	case binary.NativeEndian.Uint16(answer[4:]) == syscall.NLMSG_ERROR:
		gone := len(answer) >= headerLength+4 && -int32(binary.NativeEndian.Uint32(answer[headerLength:])) == int32(syscall.ENOENT)
		return noOne, gone // other errors: the kernel does not tell
	case len(answer) < inodeOffset+4:
		return 0, false
	case binary.NativeEndian.Uint32(answer[inodeOffset:]) == 0:
		return noOne, true // closed: nobody would read the answer
	}
	user = binary.NativeEndian.Uint32(answer[userOffset:])
	return user, user != noOne
}

// question is an inet_diag_req_v2 for one socket.
func question(from, to *net.TCPAddr) []byte {
	family, source, target := byte(syscall.AF_INET), from.IP.To4(), to.IP.To4()
	if source == nil || target == nil {
		family, source, target = syscall.AF_INET6, from.IP.To16(), to.IP.To16()
	}
	q := make([]byte, headerLength+requestLength)
	binary.NativeEndian.PutUint32(q, uint32(len(q)))
	binary.NativeEndian.PutUint16(q[4:], byFamily)
	binary.NativeEndian.PutUint16(q[6:], syscall.NLM_F_REQUEST)
	r := q[headerLength:]
	r[0], r[1] = family, syscall.IPPROTO_TCP
	binary.NativeEndian.PutUint32(r[4:], ^uint32(0)) // in any state
	binary.BigEndian.PutUint16(r[8:], uint16(from.Port))
	binary.BigEndian.PutUint16(r[10:], uint16(to.Port))
	copy(r[12:], source)
	copy(r[28:], target)
	binary.NativeEndian.PutUint64(r[48:], ^uint64(0)) // no cookie
	return q
}

func askKernel(question []byte) ([]byte, error) {
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, sockDiag)
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(socket) }()
	patience := syscall.NsecToTimeval(int64(answerPatience))
	if err := syscall.SetsockoptTimeval(socket, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
		return nil, err
	}
	if err := syscall.Sendto(socket, question, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(socket, answer, 0)
	return answer[:max(0, n)], err
}

// loginUser is who logged in, whoever they have become since.
func loginUser() (user uint32, known bool) {
	text, err := os.ReadFile("/proc/self/loginuid")
	if err != nil {
		return 0, false
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	return uint32(id), err == nil && id != math.MaxUint32 // nobody did
}
