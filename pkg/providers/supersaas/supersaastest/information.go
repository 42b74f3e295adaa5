package supersaastest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

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

// names serve the lists of what the account has by name.
type names struct{ set *Settings }

// answer writes a list, as tuples if the account has them so.
func (n names) answer(w http.ResponseWriter, list []named) {
	rows := []any{}
	for _, one := range list {
		if n.set.Knobs.Tuples {
			rows = append(rows, []any{one.id, one.name})
			continue
		}
		rows = append(rows, map[string]any{"id": one.id, "name": one.name})
	}
	sandbox.JSON(w, http.StatusOK, rows)
}

func (n names) schedules(w http.ResponseWriter, _ *sandbox.Request) {
	list := make([]named, 0, len(schedules))
	for _, c := range schedules {
		list = append(list, named{c.id, c.name})
	}
	n.answer(w, list)
}

func (n names) groups(w http.ResponseWriter, _ *sandbox.Request) { n.answer(w, groups) }

func superFormList(w http.ResponseWriter, _ *sandbox.Request) {
	names{set: &Settings{}}.answer(w, superForms) // never tuples: another API of the documents
}

// resources answers a schedule's resources, or its services. A capacity
// schedule has neither.
func (n names) resources(w http.ResponseWriter, r *sandbox.Request) {
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
		n.answer(w, services)
	default:
		n.answer(w, resources)
	}
}

// A promotion is a coupon code.
type promotion struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Usage       int    `json:"usage"`
}

type promotions struct {
	list         []promotion
	kept, counts *sandbox.Section
}

// templates are the codes that a person has made in the account.
func templates() promotions {
	return promotions{list: []promotion{{"WELCOME10", "初回10%オフ", 3}, {"SUMMER500", "夏の500円引き", 0}}}
}

// answerList answers all codes, or one. By id, as the documents name it,
// one comes as an object; by promotion_code, which only the official clients
// send, as the array that they read.
func (t *promotions) answerList(w http.ResponseWriter, r *sandbox.Request) {
	limit, offset, ok := window(w, r)
	if !ok {
		return
	}
	for _, name := range []string{"id", "promotion_code"} {
		code, sent := r.Lookup(name)
		if !sent {
			continue
		}
		p := t.of(code)
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
	sandbox.JSON(w, http.StatusOK, slice(t.list, limit, offset))
}

func (t *promotions) of(code string) *promotion {
	for i := range t.list {
		if strings.EqualFold(t.list[i].Code, code) {
			return &t.list[i]
		}
	}
	return nil
}

var alphanumeric = regexp.MustCompile(`^[0-9A-Za-z]+$`)

// duplicate makes a code like another.
func (t *promotions) duplicate(w http.ResponseWriter, r *sandbox.Request) {
	code := r.Param("id")
	template := t.of(r.Param("template_code"))
	switch {
	case code == "":
		invalid(w, "id", blank)
	case !alphanumeric.MatchString(code):
		invalid(w, "id", "is invalid")
	case template == nil:
		fail(w, http.StatusNotFound, "Not found")
	case t.of(code) != nil:
		invalid(w, "id", "has already been taken")
	default:
		t.list = append(t.list, promotion{Code: code, Description: template.Description})
		t.note(len(t.list) - 1)
		created(w, r, "/api/promotions.json?id="+code)
	}
}
