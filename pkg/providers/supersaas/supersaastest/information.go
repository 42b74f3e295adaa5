package supersaastest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// A named thing of the account, as it stands in lists of names.
type named struct {
	id   int64
	name string
}

const firstResource = 557001

var (
	resources  = []named{{firstResource, "個室A"}, {firstResource + 1, "個室B"}}
	services   = []named{{556001, "凝膠指甲"}}
	groups     = []named{{7, "会員"}}
	superForms = []named{{FormID, "ご要望"}}
)

// nameIn is empty if there is no such id.
func nameIn(list []named, id int64) string {
	for _, n := range list {
		if n.id == id {
			return n.name
		}
	}
	return ""
}

// pick returns what has an id or a name.
func pick(list []named, key string) []named {
	return slices.DeleteFunc(slices.Clone(list), func(n named) bool { return itoa(n.id) != key && n.name != key })
}

// names answers a list of names, as tuples if the account has them so.
func (s *Server) names(w http.ResponseWriter, list []named) {
	rows := []any{}
	for _, n := range list {
		if s.Knobs.Tuples {
			rows = append(rows, []any{n.id, n.name})
			continue
		}
		rows = append(rows, map[string]any{"id": n.id, "name": n.name})
	}
	sandbox.JSON(w, http.StatusOK, rows)
}

func (s *Server) listSchedules(w http.ResponseWriter, _ *sandbox.Request) {
	list := make([]named, 0, len(schedules))
	for _, c := range schedules {
		list = append(list, named{c.id, c.name})
	}
	s.names(w, list)
}

func (s *Server) listGroups(w http.ResponseWriter, _ *sandbox.Request) { s.names(w, groups) }

func (s *Server) listSuperForms(w http.ResponseWriter, _ *sandbox.Request) {
	rows := make([]map[string]any, 0, len(superForms))
	for _, f := range superForms {
		rows = append(rows, map[string]any{"id": f.id, "name": f.name})
	}
	sandbox.JSON(w, http.StatusOK, rows) // never tuples: another API of the documents
}

// listResources answers a schedule's resources, or its services. A capacity
// schedule has neither.
func (s *Server) listResources(w http.ResponseWriter, r *sandbox.Request) {
	id, sent := r.Lookup("schedule_id")
	place := scheduleOf(id)
	switch {
	case !sent:
		fail(w, http.StatusBadRequest, "Bad request: schedule_id is missing")
	case place == nil:
		fail(w, http.StatusNotFound, "Not found")
	case place.id == CapacitySchedule:
		fail(w, http.StatusMethodNotAllowed, "Not available for capacity type schedule")
	case place.id == ServiceSchedule:
		s.names(w, services)
	default:
		s.names(w, resources)
	}
}

// listForms answers the submissions of a form by when they were changed, or
// one by its id.
func (s *Server) listForms(w http.ResponseWriter, r *sandbox.Request) {
	if id, one := r.Lookup("id"); one {
		for _, f := range s.forms.list {
			if itoa(f.id) == id && !f.deleted {
				answer(w, f.record())
				return
			}
		}
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	limit, offset, ok := window(w, r)
	if !ok {
		return
	}
	var from time.Time
	if text, sent := r.Lookup("from"); sent {
		if from, ok = queryTime(text, time.UTC); !ok {
			fail(w, http.StatusBadRequest, "Bad request: from must be YYYY-MM-DD HH:MM:SS")
			return
		}
	}
	if template, sent := r.Lookup("form_id"); sent && len(pick(superForms, template)) == 0 {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	user, byUser := r.Lookup("user")
	wanted := s.userNumber(user)
	found := []form{}
	for _, f := range s.forms.list {
		if !f.deleted && !f.changed.Before(from) && (!byUser || f.user == wanted) {
			found = append(found, f)
		}
	}
	rows := [][]byte{}
	for _, f := range slice(found, limit, offset) {
		rows = append(rows, f.record())
	}
	answer(w, array(rows))
}

// userNumber is the id of a user named by id, name or foreign key; 0 is
// nobody, and -1 stands for one whom the account does not have.
func (s *Server) userNumber(key string) int64 {
	if u := s.users.find(key); u != nil {
		return u.id
	}
	if key == "0" {
		return 0
	}
	return -1
}

// A promotion is a coupon code.
type promotion struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Usage       int    `json:"usage"`
}

// templates are the codes that a person has made in the account.
func templates() []promotion {
	return []promotion{{"WELCOME10", "初回10%オフ", 3}, {"SUMMER500", "夏の500円引き", 0}}
}

// listPromotions answers all codes, or one. By id, as the documents name it,
// one comes as an object; by promotion_code, which only the official clients
// send, as the array that they read.
func (s *Server) listPromotions(w http.ResponseWriter, r *sandbox.Request) {
	limit, offset, ok := window(w, r)
	if !ok {
		return
	}
	for _, name := range []string{"id", "promotion_code"} {
		code, sent := r.Lookup(name)
		if !sent {
			continue
		}
		p := s.promotionOf(code)
		switch {
		case p == nil:
			fail(w, http.StatusNotFound, "Not found")
		case name == "id":
			sandbox.JSON(w, http.StatusOK, p)
		default:
			sandbox.JSON(w, http.StatusOK, []*promotion{p})
		}
		return
	}
	sandbox.JSON(w, http.StatusOK, slice(s.promotions, limit, offset))
}

func (s *Server) promotionOf(code string) *promotion {
	for i := range s.promotions {
		if strings.EqualFold(s.promotions[i].Code, code) {
			return &s.promotions[i]
		}
	}
	return nil
}

var alphanumeric = regexp.MustCompile(`^[0-9A-Za-z]+$`)

// duplicatePromotion makes a code like another.
func (s *Server) duplicatePromotion(w http.ResponseWriter, r *sandbox.Request) {
	code := r.Param("id")
	template := s.promotionOf(r.Param("template_code"))
	switch {
	case code == "":
		invalid(w, "id", blank)
	case !alphanumeric.MatchString(code):
		invalid(w, "id", "is invalid")
	case template == nil:
		fail(w, http.StatusNotFound, "Not found")
	case s.promotionOf(code) != nil:
		invalid(w, "id", "has already been taken")
	default:
		s.promotions = append(s.promotions, promotion{Code: code, Description: template.Description})
		created(w, r, "/api/promotions.json?id="+code)
	}
}
