package yapplitest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hikyaku/pkg/providers/sandbox"
)

// farthest bounds a place in the list, so that no product of a page and its
// size overflows.
const farthest = 1 << 31

// count reads an integer parameter of the query.
func count(r *sandbox.Request, name string, fallback, least int) (int, error) {
	text, ok := r.Lookup(name)
	if !ok {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > farthest {
		return 0, fmt.Errorf("%s must be an integer from %d to %d", name, least, farthest)
	}
	return n, nil
}

// place reads the paging parameters of the tenant's generation; those of the
// other one are ignored, as unknown ones are.
func (k *Knobs) place(r *sandbox.Request) (offset, limit, page int, err error) {
	size, start, least := "limit", "offset", 0
	if k.Generation >= 3 {
		size, start, least = "per_page", "page", 1
	}
	limit, err = count(r, size, defaultPage, 1)
	if err != nil {
		return 0, 0, 0, err
	}
	if at, err := count(r, start, least, least); err != nil {
		return 0, 0, 0, err
	} else if offset = at; least == 1 {
		page = at
	}
	limit = min(limit, cmp.Or(k.MaxPage, largestPage))
	if page > 0 {
		offset = (page - 1) * limit
	}
	return offset, limit, offset/limit + 1, nil
}

func (s *Server) list(w http.ResponseWriter, r *sandbox.Request) {
	offset, limit, page, err := s.place(r)
	if err != nil {
		bad(w, err.Error())
		return
	}
	if s.pages++; offset == 0 {
		s.pages = 1
	}
	if s.BetweenPages != nil && offset > 0 {
		s.BetweenPages(s.pages)
	}
	if offset > 0 {
		offset += s.Drifting()
	}
	members, total := s.shown(offset, limit, func(slots []slot) []slot { return sandbox.Disordered(s.Server, slots) })
	var b bytes.Buffer
	s.wrapList(&b, members)
	if s.Generation >= 3 {
		fmt.Fprintf(&b, `,"total":%d,"current_page":%d,"last_page":%d`, total, page, max(1, (total+limit-1)/limit))
	}
	b.WriteByte('}')
	sandbox.Encoded(w, b.Bytes())
}

func (s *Server) get(w http.ResponseWriter, r *sandbox.Request) {
	m, ok := s.Find(r.PathValue("id"))
	if !ok {
		s.missing(w)
		return
	}
	sandbox.Encoded(w, s.wrapOne(m))
}

func (k *Knobs) missing(w http.ResponseWriter) {
	switch {
	case k.MissingStatus != 0:
		fail(w, k.MissingStatus, "not_found", "no such user")
	case k.Generation >= 3:
		fail(w, http.StatusNotFound, "not_found", "no such user")
	default:
		bad(w, "no such user")
	}
}

func (s *Server) lookup(w http.ResponseWriter, r *sandbox.Request) {
	found := s.FindUnique(r.PathValue("unique_id"))
	if !s.Lookup || len(found) == 0 {
		// A missing route and a missing user look alike.
		fail(w, http.StatusNotFound, "not_found", "no such path")
		return
	}
	sandbox.Encoded(w, s.wrapOne(found[0]))
}

func (s *Server) check(w http.ResponseWriter, r *sandbox.Request) {
	id := r.URL.Query().Get("id")
	if id == "" {
		bad(w, "id is required")
		return
	}
	m, exists := s.Find(id)
	document := map[string]any{"status": exists && s.handovers.confirms(r.PathValue("token"), id)}
	if s.HandoverMember && document["status"] == true {
		document["member"] = json.RawMessage(m.JSON())
	}
	sandbox.JSON(w, http.StatusOK, document)
}

func (s *Server) create(w http.ResponseWriter, r *sandbox.Request) {
	set, err := s.changes(r)
	if err != nil {
		bad(w, err.Error())
		return
	}
	unique := set["unique_id"]
	if unique == nil || *unique == "" {
		bad(w, "unique_id is required")
		return
	}
	m, ok := s.Records.create(*unique, set)
	if !ok {
		bad(w, "unique_id exists already")
		return
	}
	sandbox.Encoded(w, s.wrapOne(m))
}

func (s *Server) update(w http.ResponseWriter, r *sandbox.Request) {
	set, err := s.changes(r)
	if err == nil && s.Generation < 3 && set["unique_id"] != nil {
		err = fmt.Errorf("unique_id cannot be changed")
	}
	if err != nil {
		bad(w, err.Error())
		return
	}
	m, ok := s.Records.update(r.PathValue("id"), set)
	if !ok {
		s.missing(w)
		return
	}
	sandbox.Encoded(w, s.wrapOne(m))
}

// settable maps request names to answer names.
var settable = func() map[string]string {
	names := map[string]string{"password": "password", "secret_answer": "secret_answer"}
	for _, name := range answerFields {
		switch name {
		case "point", "point_geted_at", "created_at", "updated_at":
		case "secret_quetion":
			names["secret_question"] = name
		default:
			names[name] = name
		}
	}
	return names
}()

// changes reads a creation's or update's body: by answer name, nil for null.
func (k *Knobs) changes(r *sandbox.Request) (map[string]*string, error) {
	if kind := map[string]string{
		"multipart/form-data": "multipart", "application/json": "json", "application/x-www-form-urlencoded": "form",
	}[r.Media]; kind != k.encoding() {
		return nil, fmt.Errorf("the body must be %s", k.encoding())
	}
	set := map[string]*string{}
	for name, texts := range r.Fields {
		if err := k.take(set, name, &texts[0]); err != nil {
			return nil, err
		}
	}
	for name, v := range r.JSON {
		if _, known := settable[name]; !known && name != "point" {
			continue
		}
		text, err := fromJSON(name, v)
		if err == nil {
			err = k.take(set, name, text)
		}
		if err != nil {
			return nil, err
		}
	}
	return set, k.complete(set)
}

// complete refuses what lacks something.
func (k *Knobs) complete(set map[string]*string) error {
	if logined := set["logined"]; k.Generation >= 3 && logined != nil && *logined == "1" && set["logined_at"] == nil {
		return fmt.Errorf("logined 1 needs logined_at")
	}
	return nil
}

// fromJSON wants the documented type of each field.
func fromJSON(name string, v any) (*string, error) {
	number, isNumber := v.(json.Number)
	text, isText := v.(string)
	switch {
	case v == nil:
		return nil, nil
	case integers[name] && isNumber:
		text = number.String()
	case integers[name] || !isText:
		return nil, fmt.Errorf("%s has the wrong type", name)
	}
	return &text, nil
}

var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)

func (k *Knobs) take(set map[string]*string, name string, text *string) error {
	target, ok := settable[name]
	if k.Trim && text != nil {
		trimmed := strings.TrimSpace(*text)
		text = &trimmed
	}
	switch {
	case name == "point":
		return fmt.Errorf("point cannot be set")
	case !ok:
		return nil // unknown names are ignored
	case text == nil && (name == "logined" || name == "enabled"),
		text != nil && (name == "logined" || name == "enabled") && *text != "0" && *text != "1":
		return fmt.Errorf("%s must be 0 or 1", name)
	case text != nil && name == "rank" && *text == "":
		text = nil
	case text != nil && name == "rank":
		n, err := strconv.ParseInt(*text, 10, 64)
		if err != nil {
			return fmt.Errorf("rank must be an integer")
		}
		plain := strconv.FormatInt(n, 10) // answers hold it without quotes, and 05 is no JSON
		text = &plain
	case text != nil && k.Generation >= 3 && name == "password" && len(*text) < 4:
		return fmt.Errorf("password is too short")
	case text != nil && k.Generation >= 3 && name == "logined_at" && *text != "" && !timeForm.MatchString(*text):
		return fmt.Errorf("logined_at must be YYYY-MM-DD HH:MM:SS")
	}
	set[target] = text
	return nil
}

// wrapOne and wrapList put member objects into the tenant's wrapper.
func (k *Knobs) wrapOne(m Member) []byte {
	b := m.JSON()
	switch k.Wrapper {
	case "bare":
		return b
	case "inner":
		return slices.Concat([]byte(`{"member":[`), b, []byte(`]}`))
	}
	return slices.Concat([]byte(`{"member":`), b, []byte(`}`))
}

func (k *Knobs) wrapList(b *bytes.Buffer, members []Member) {
	open, before, after, end := `{"members":[`, `{"member":`, `}`, `]`
	switch k.Wrapper {
	case "flat", "bare":
		before, after = "", ""
	case "inner":
		open, before, after, end = `{"members":{"member":[`, "", "", `]}`
	}
	b.WriteString(open)
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(before)
		b.Write(m.appendJSON(b.AvailableBuffer()))
		b.WriteString(after)
	}
	b.WriteString(end)
}
