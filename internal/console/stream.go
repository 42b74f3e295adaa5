package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	leastPause = 250 * time.Millisecond // between two updates of a tab
	heartbeat  = 15 * time.Second       // so that a connection that is gone is noticed
)

// onceHeader asks for one update instead of a stream: a browser opens few connections to
// one address, and a tab that finds none free asks again after each update.
const onceHeader = "Hikyaku-Once"

// serveStream pushes a page's fragments to a tab whenever they have changed, at most four
// times a second, each update as one message. Its id tells a connection that is opened
// again what the tab shows already.
func (s *Server) serveStream(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		out := http.NewResponseController(w)
		shown := make([][sha256.Size]byte, len(p.live))
		last, once := r.Header.Get("Last-Event-Id"), r.Header.Get(onceHeader) != ""
		for r.Context().Err() == nil {
			changes := s.changes()
			frame := s.frame(r, p)
			if id := frameID(frame); id != last {
				last = id
				writeUpdate(w, id, p.live, frame, shown)
				if out.Flush() != nil {
					return
				}
			}
			// Who asks once is answered at once, also when nothing is new: waiting would hold
			// the connection that the browser has too few of.
			if once || !s.wait(r.Context(), w, out, changes) {
				return
			}
		}
	}
}

func frameID(frame [][]byte) string {
	sum := sha256.Sum256(bytes.Join(frame, []byte{0}))
	return hex.EncodeToString(sum[:8])
}

// writeUpdate writes the fragments that a tab does not show yet as one message, each as a
// piece of HTML that says where it goes.
func writeUpdate(w http.ResponseWriter, id string, names []string, frame [][]byte, shown [][sha256.Size]byte) {
	var message bytes.Buffer
	for i, name := range names {
		sum := sha256.Sum256(frame[i])
		if frame[i] == nil || shown[i] == sum {
			continue
		}
		shown[i] = sum
		_, _ = fmt.Fprintf(&message, "<hx-partial hx-target=\"#%s\" hx-swap=\"innerMorph\">%s</hx-partial>\n", name, frame[i])
	}
	_, _ = fmt.Fprintf(w, "id: %s\n", id)
	writeData(w, message.Bytes())
}

// wait returns true once the page may have changed, and false once nobody looks.
func (s *Server) wait(ctx context.Context, w http.ResponseWriter, out *http.ResponseController, changes [2]<-chan struct{}) bool {
	begun := s.options.Now()
	poll := time.NewTimer(s.options.Fresh)
	defer poll.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-beat.C:
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil || out.Flush() != nil {
				return false
			}
			continue
		case <-changes[0]:
		case <-changes[1]:
		case <-poll.C:
		}
		return pause(ctx, leastPause-s.options.Now().Sub(begun))
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(max(d, 0)):
		return true
	case <-ctx.Done():
		return false
	}
}

// changes are two channels: one is closed at the next action of this console's, the other
// at the next change of the stack. A deployed stack has none: it is asked again.
func (s *Server) changes() [2]<-chan struct{} {
	if s.options.Dev == nil {
		return [2]<-chan struct{}{s.frames.acted()}
	}
	return [2]<-chan struct{}{s.frames.acted(), s.options.Dev.Changed()}
}

// frames are what the pages' fragments look like now. Tabs that show the same page share
// them: eight tabs cost no more than one.
type frames struct {
	now func() time.Time

	mu     sync.Mutex
	kept   map[string]*frame
	signal chan struct{}
}

type frame struct {
	drawing sync.Mutex
	at      time.Time
	parts   [][]byte
}

func newFrames(now func() time.Time) *frames {
	return &frames{now: now, kept: map[string]*frame{}, signal: make(chan struct{})}
}

// acted is closed at the next action.
func (f *frames) acted() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.signal
}

// act lets every tab look again at once.
func (f *frames) act() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.signal)
	f.signal = make(chan struct{})
	clear(f.kept)
}

func (f *frames) of(key string) *frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	found, ok := f.kept[key]
	if !ok {
		if len(f.kept) > 1000 { // addresses of many people's pages
			clear(f.kept)
		}
		found = &frame{}
		f.kept[key] = found
	}
	return found
}

// frame draws a page's fragments, or returns what another tab was shown just now.
func (s *Server) frame(r *http.Request, p page) [][]byte {
	v := s.view(r, p)
	f := s.frames.of(v.Lang + " " + v.Token + " " + r.URL.RequestURI())
	f.drawing.Lock()
	defer f.drawing.Unlock()
	if now := s.frames.now(); now.Sub(f.at) < leastPause/2 {
		return f.parts
	}
	v.Data, v.Err = p.load(r.Context(), r)
	parts := make([][]byte, len(p.live))
	for i, name := range p.live {
		if v.Err != nil {
			continue // the page keeps what it shows; its next load says what is wrong
		}
		part, err := s.execute(v, p.Name, name)
		if err != nil {
			s.options.Log.ErrorContext(r.Context(), "writing a fragment failed", "fragment", name, "err", err)
			continue
		}
		parts[i] = part
	}
	f.parts, f.at = parts, s.frames.now()
	return parts
}
