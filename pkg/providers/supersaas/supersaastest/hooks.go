package supersaastest

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"hikyaku/pkg/providers/sandbox"
)

// A Hook is a registered webhook.
type Hook struct {
	ID       int64  `json:"id"`
	Trigger  string `json:"trigger"`   // U M P H N C R F S O
	ParentID int64  `json:"parent_id"` // AccountID, a schedule, or a form; 0 in AddHook: the account
	Target   string `json:"url"`
	// Extra fields go into every payload, as people put them there on the
	// account's page: a secret, say. The API cannot set them.
	Extra map[string]string `json:"extra,omitempty"`
}

// parents says what each trigger hangs on.
var parents = map[string]string{
	"U": "account", "M": "account", "P": "account", "H": "account",
	"N": "schedule", "C": "schedule", "R": "schedule", "F": "schedule", "S": "form", "O": "form",
}

// AddHook registers a hook as a person does on the account's page, and
// returns its id. Nothing about it is checked.
func (s *Server) AddHook(h Hook) int64 {
	s.Do(func() { h = s.addHook(h) })
	return h.ID
}

func (s *Server) addHook(h Hook) Hook {
	s.serial++
	h.ID = 3300 + s.serial
	if h.ParentID == 0 {
		h.ParentID = AccountID
	}
	s.hooks = append(s.hooks, h)
	return h
}

// listHooks answers with other names than the request for a hook has.
func (s *Server) listHooks(w http.ResponseWriter, _ *sandbox.Request) {
	type row struct {
		ID       int64  `json:"id"`
		URL      string `json:"url"`
		Trigger  string `json:"trigger"`
		ParentID int64  `json:"parent_id"`
	}
	rows := make([]row, 0, len(s.hooks))
	for _, h := range s.hooks {
		rows = append(rows, row{h.ID, h.Target, h.Trigger, h.ParentID})
	}
	sandbox.JSON(w, http.StatusOK, rows)
}

// parent resolves parent_id for a trigger; false if there is no such parent.
func (s *Server) parent(kind, id string) (int64, bool) {
	switch kind {
	case "account":
		return AccountID, id == itoa(AccountID) || s.sameAccount(id) && !s.Knobs.ParentByID
	case "schedule":
		for _, c := range schedules {
			if id == itoa(c.id) {
				return c.id, true
			}
		}
	case "form":
		return FormID, id == itoa(FormID)
	}
	return 0, false
}

func (s *Server) createHook(w http.ResponseWriter, r *sandbox.Request) {
	trigger, target := r.Param("event"), r.Param("target_url")
	parent, ok := s.parent(parents[trigger], r.Param("parent_id"))
	switch {
	case parents[trigger] == "":
		fail(w, http.StatusBadRequest, "Bad request: unknown event")
	case !ok:
		fail(w, http.StatusBadRequest, "Bad request: unknown parent_id")
	case !s.reachable(target):
		fail(w, http.StatusBadRequest, "Bad request: target_url is not reachable")
	default:
		h := s.addHook(Hook{Trigger: trigger, ParentID: parent, Target: target})
		sandbox.JSON(w, http.StatusOK, map[string]any{"id": h.ID, "parent_id": h.ParentID, "event": trigger, "target_url": target})
	}
}

// reachable refuses what the provider cannot post to from the internet.
func (s *Server) reachable(target string) bool {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	if s.Knobs.AllowLocal {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := err == nil && (ip.IsLoopback() || ip.IsPrivate()) || strings.EqualFold(u.Hostname(), "localhost")
	return !local && u.Port() != "5678"
}

func (s *Server) deleteHook(w http.ResponseWriter, r *sandbox.Request) {
	before := len(s.hooks)
	s.hooks = slices.DeleteFunc(s.hooks, func(h Hook) bool {
		parent, ok := s.parent(parents[h.Trigger], r.Param("parent_id"))
		return itoa(h.ID) == r.Param("id") && ok && parent == h.ParentID
	})
	if len(s.hooks) == before {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	w.WriteHeader(http.StatusOK)
}
