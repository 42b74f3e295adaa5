package supersaastest

import (
	"cmp"
	"encoding/json"
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

// firstHook comes before the id of the first hook.
const firstHook = 3300

// parents says what each trigger hangs on.
var parents = map[string]string{
	"U": "account", "M": "account", "P": "account", "H": "account",
	"N": "schedule", "C": "schedule", "R": "schedule", "F": "schedule", "S": "form", "O": "form",
}

// AddHook registers a hook as a person does on the account's page, and
// returns its id. Nothing about it is checked.
func (s *Server) AddHook(h Hook) int64 {
	s.Do(func() { h = s.hooks.add(h) })
	return h.ID
}

// Hooks returns the registered webhooks.
func (s *Server) Hooks() (list []Hook) {
	s.Do(func() { list = slices.Clone(s.hooks.list) })
	return list
}

// hooks are those of the account.
type hooks struct {
	set     *Settings
	account *account
	post    *mail
	list    []Hook
	serial  int64

	kept, counts *sandbox.Section
}

func (h *hooks) add(hook Hook) Hook {
	h.serial++
	hook.ID = firstHook + h.serial
	hook.ParentID = cmp.Or(hook.ParentID, AccountID)
	h.list = append(h.list, hook)
	h.kept.Put(hookKey(hook.ID), hook)
	h.counts.Put(hookSerial, h.serial)
	return hook
}

// replace takes over the hooks of a document.
func (h *hooks) replace(list []Hook) {
	slices.SortStableFunc(list, func(a, b Hook) int { return cmp.Compare(a.ID, b.ID) })
	h.list = list
	h.kept.Clear()
	for _, hook := range list {
		h.serial = max(h.serial, hook.ID-firstHook)
		h.kept.Put(hookKey(hook.ID), hook)
	}
	h.counts.Put(hookSerial, h.serial)
}

// answerList answers with other names than the request for a hook has.
func (h *hooks) answerList(w http.ResponseWriter, _ *sandbox.Request) {
	type row struct {
		ID       int64  `json:"id"`
		URL      string `json:"url"`
		Trigger  string `json:"trigger"`
		ParentID int64  `json:"parent_id"`
	}
	rows := make([]row, 0, len(h.list))
	for _, hook := range h.list {
		rows = append(rows, row{hook.ID, hook.Target, hook.Trigger, hook.ParentID})
	}
	sandbox.JSON(w, http.StatusOK, rows)
}

// parent resolves parent_id for a trigger; false if there is no such parent.
func (h *hooks) parent(kind, id string) (int64, bool) {
	switch kind {
	case "account":
		return AccountID, id == itoa(AccountID) || h.account.sameAccount(id) && !h.set.Knobs.ParentByID
	case "schedule":
		if c := scheduleOf(id); c != nil {
			return c.id, true
		}
	case "form":
		return FormID, id == itoa(FormID)
	}
	return 0, false
}

func (h *hooks) create(w http.ResponseWriter, r *sandbox.Request) {
	trigger, target := r.Param("event"), r.Param("target_url")
	parent, ok := h.parent(parents[trigger], r.Param("parent_id"))
	switch {
	case parents[trigger] == "":
		fail(w, http.StatusBadRequest, "Bad request: unknown event")
	case !ok:
		fail(w, http.StatusBadRequest, "Bad request: unknown parent_id")
	case !h.reachable(target):
		fail(w, http.StatusBadRequest, "Bad request: target_url is not reachable")
	default:
		hook := h.add(Hook{Trigger: trigger, ParentID: parent, Target: target})
		sandbox.JSON(w, http.StatusOK, map[string]any{"id": hook.ID, "parent_id": hook.ParentID, "event": trigger, "target_url": target})
	}
}

// reachable refuses what the provider cannot post to from the internet.
func (h *hooks) reachable(target string) bool {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	if h.set.Knobs.AllowLocal {
		return true
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := err == nil && (ip.IsLoopback() || ip.IsPrivate()) || strings.EqualFold(u.Hostname(), "localhost")
	return !local && u.Port() != "5678"
}

func (h *hooks) delete(w http.ResponseWriter, r *sandbox.Request) {
	before := len(h.list)
	h.list = slices.DeleteFunc(h.list, func(hook Hook) bool {
		parent, ok := h.parent(parents[hook.Trigger], r.Param("parent_id"))
		gone := itoa(hook.ID) == r.Param("id") && ok && parent == hook.ParentID
		if gone {
			h.kept.Delete(hookKey(hook.ID))
		}
		return gone
	})
	if len(h.list) == before {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	w.WriteHeader(http.StatusOK)
}

// fire queues body for every hook on a trigger and parent. The handling lock
// is held.
func (h *hooks) fire(trigger string, parent int64, body []byte) {
	for _, hook := range h.list {
		if hook.Trigger != trigger || hook.ParentID != parent {
			continue
		}
		payload := body
		for name, value := range hook.Extra {
			payload = with(payload, name, value)
		}
		h.post.queue(Delivery{Hook: hook.ID, Trigger: trigger, Target: hook.Target, Body: payload})
	}
}

// fireUser fires M for every change of a user, and U for a new one.
func (h *hooks) fireUser(t *users, u *user, event string, fires bool) {
	if !fires {
		return
	}
	raw := t.record(u)
	if u.form != nil {
		raw = with(raw, "form", json.RawMessage(u.form))
	}
	body := payload(raw, event, userOrder)
	if event == "new" {
		h.fire("U", AccountID, body)
	}
	h.fire("M", AccountID, body)
}

func (h *hooks) fireForm(f form, event string, fires bool) {
	if !fires {
		return
	}
	body := payload(f.record(), event, formOrder)
	if event == "new" {
		h.fire("S", FormID, body)
	}
	h.fire("O", FormID, body)
}

// fireBooking fires C for every change on a schedule, and N for a new one. No
// payload that was ever seen names the schedule.
func (h *hooks) fireBooking(t *bookings, b *booking, event string, fires bool) {
	if !fires {
		return
	}
	body := payload(t.record(b), event, bookingOrder, "schedule_id", "schedule_name")
	if event == "create" {
		h.fire("N", b.schedule.id, body)
	}
	h.fire("C", b.schedule.id, body)
}
