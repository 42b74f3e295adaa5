// Package console shows a stack in a browser on this machine, and lets a person act on
// it. It knows no rule of the product: each page is a view of what a command of hikyaku
// prints with --json, and each action is such a command, so that a person can copy it. What
// only a development stack has comes through [Dev].
//
// A page is a [page]: an address, a loader and a template of the same name. The fragments
// of it that move are rendered again at each change and pushed on the tab's one stream.
// An action is an [action]: a form's fields become the arguments of a command.
package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"hikyaku/internal/console/static"
	"hikyaku/internal/hostguard"
	"hikyaku/internal/objectstore"
)

// Options configure a Server.
type Options struct {
	Run   Runner
	Dev   Dev    // nil: a deployed stack
	Stack string // name, as people know it
	// Of adds to a command what lets it find the stack, such as --stack shop; nil: nothing.
	Of func(args []string) []string
	// Objects opens the stack's bucket, with its prefix: downloads and records come from there.
	Objects func() (store objectstore.Store, prefix string)
	Write   bool           // actions that change the stack are allowed
	Zone    *time.Location // of the shop; nil: UTC
	// Fresh is how long what a command has printed is shown again; 0: two seconds.
	Fresh time.Duration
	// Sessions is a file that keeps who has entered, so that a restart throws nobody out;
	// empty: none.
	Sessions string
	Audit    Audit            // nil: actions are noted nowhere
	Now      func() time.Time // of the machine; nil: time.Now
	Log      *slog.Logger     // nil: nobody
}

// An Audit notes an action of a person's before it is done: which command, and why. What it
// returns notes how the action ended. An error says that it must not be done.
type Audit func(ctx context.Context, command []string, why string) (end func(error) error, err error)

// A Server is a running console.
type Server struct {
	URL string // without a path

	options     Options
	sessions    *sessions
	reader      *reader
	texts       *texts
	frames      *frames
	files       *static.Server
	pages       []page
	actions     map[string]action
	held        heldValues
	lettersRead lettersRead
	slow        *slowCommands
	count       counting
	server      *http.Server

	templates templates
	ended     chan struct{} // closed once it no longer listens
}

// Start serves a console at addr, an address of the loopback, until ctx ends.
func Start(ctx context.Context, addr string, o Options) (*Server, error) {
	o.Zone, o.Now = cmp.Or(o.Zone, time.UTC), orNow(o.Now)
	o.Fresh = cmp.Or(o.Fresh, 2*time.Second)
	if o.Of == nil {
		o.Of = func(args []string) []string { return args }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("the console's address %s: expected HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("the console's address %s can be reached from other machines; it shows customers, so give it an address of this machine, such as 127.0.0.1:0", addr)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the console: %w", err)
	}
	s, err := newServer(o, listener.Addr().(*net.TCPAddr)) //nolint:forcetypeassert // it listens on TCP
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.server = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(hostguard.Own(listener))
	}()
	context.AfterFunc(ctx, func() { _ = s.server.Close() })
	return s, nil
}

// Wait returns once the console no longer listens.
func (s *Server) Wait() { <-s.ended }

func newServer(o Options, at *net.TCPAddr) (*Server, error) {
	texts, err := loadTexts()
	if err != nil {
		return nil, err
	}
	entered, err := openSessions(o.Sessions, at.Port, o.Now)
	if err != nil {
		return nil, err
	}
	files, err := static.New()
	if err != nil {
		return nil, err
	}
	s := &Server{
		files: files, URL: "http://" + at.String(), options: o, sessions: entered, texts: texts,
		reader: &reader{run: o.Run, of: o.Of, now: o.Now, fresh: o.Fresh}, frames: newFrames(o.Now), slow: &slowCommands{}, ended: make(chan struct{}),
	}
	s.reader.arrived = s.frames.act
	s.slow.now = s.stackNow
	s.pages = s.allPages()
	s.actions = map[string]action{}
	for _, a := range s.allActions() {
		s.actions[a.name] = a
	}
	if err := s.loadTemplates(); err != nil {
		return nil, err
	}
	return s, nil
}

func orNow(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// Link makes an address that lets one browser enter, once.
func (s *Server) Link() (string, error) {
	key, err := s.sessions.invite()
	return s.URL + enterPath + key, err
}

// handler is everything: who may ask at all, who has entered, and the pages.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+enterPath+"{key}", s.serveEnter)
	mux.Handle("GET "+static.Root, s.files)
	mux.HandleFunc("GET /icon.svg", serveIcon)
	inside := http.NewServeMux()
	for _, p := range s.pages {
		inside.HandleFunc("GET "+p.Path, s.servePage(p))
		inside.HandleFunc("GET /stream"+p.Path, s.serveStream(p))
	}
	inside.HandleFunc("GET "+downloads+"{provider}/{dataset}/{run}/{file}", exporting{s}.serveFile)
	inside.HandleFunc("GET "+downloads+"{provider}/{dataset}/{run}/rejects/{file}", exporting{s}.serveFile)
	inside.HandleFunc("POST /do/{action}", s.serveAction)
	inside.HandleFunc("POST /command/{action}", s.serveCommand)
	inside.HandleFunc("POST /palette", s.servePalette)
	inside.HandleFunc("POST /choose", s.serveChoice)
	inside.HandleFunc("GET /routes.json", s.serveRoutes)
	inside.HandleFunc("GET /mapping/schema.json", s.serveMappingSchema)
	mux.Handle("/", s.sessions.only(http.MaxBytesHandler(inside, maxForm), s.serveOutside))
	return guarded(mux, s.URL)
}
