package supersaastest

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// form is a submission of the stand-alone form.
type form struct {
	id      int64
	user    int64
	created time.Time
	changed time.Time
	deleted bool
	raw     []byte // of a loaded one that was not changed
}

// forms are the submissions, in the order of their making.
type forms struct {
	list  []form
	users *users
	kept  *sandbox.Section
}

const firstForm = 3120001

// newForms invents a submission of every fourth of n users, of the first few
// thousand of them.
func newForms(people *users, n int) forms {
	t := forms{users: people}
	for i := 0; i < min(n, 4000); i += 4 {
		at := sandbox.Epoch.Add(time.Duration(i) * 13 * time.Minute)
		t.list = append(t.list, form{id: firstForm + int64(len(t.list)), user: firstUser + int64(i)*stepUser, created: at, changed: at})
	}
	return t
}

// answerList answers the submissions of a form by when they were changed, or
// one by its id.
func (t *forms) answerList(w http.ResponseWriter, r *sandbox.Request) {
	if id, one := r.Lookup("id"); one {
		for _, f := range t.list {
			if itoa(f.id) == id && !f.deleted {
				sandbox.Encoded(w, f.record())
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
	wanted := t.users.number(user)
	found := []form{}
	for _, f := range t.list {
		if !f.deleted && !f.changed.Before(from) && (!byUser || f.user == wanted) {
			found = append(found, f)
		}
	}
	rows := [][]byte{}
	for _, f := range slice(found, limit, offset) {
		rows = append(rows, f.record())
	}
	sandbox.Encoded(w, array(rows))
}

func (t *forms) nextID() int64 {
	last := int64(firstForm - 1)
	for _, f := range t.list {
		last = max(last, f.id)
	}
	return last + 1
}

// load adds a submission of a document.
func (t *forms) load(raw json.RawMessage) error {
	o := parseObject(raw)
	f := form{id: number(o["id"]), user: number(o["user_id"]), deleted: sandbox.IsTrue(textOf(o["deleted"])), raw: compact(raw)}
	var err error
	if f.changed, err = time.Parse(time.RFC3339, textOf(o["updated_on"])); err != nil || f.id <= 0 {
		return errors.New("loading supersaas records: a form needs an id, and updated_on such as 2025-04-08T09:00:00Z")
	}
	if f.created, err = time.Parse(time.RFC3339, textOf(o["created_on"])); err != nil {
		f.created = f.changed
	}
	t.list = append(t.list, f)
	return nil
}

// record returns the submission as lists serve it.
func (f form) record() []byte {
	if f.raw != nil {
		return f.raw
	}
	return objectOf(map[string]any{
		"id": f.id, "super_form_id": FormID, "user_id": f.user, "content": []map[string]string{{"name": "ご要望", "value": "窓側"}},
		"created_on": stamp(f.created), "updated_on": stamp(f.changed), "deleted": f.deleted,
	}).encode(formOrder)
}

var formOrder = []string{"id", "super_form_id", "user_id", "content", "created_on", "updated_on", "deleted"}
