package yapplitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}

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
func (s *Server) place(r *sandbox.Request) (offset, limit, page int, err error) {
	size, start, least := "limit", "offset", 0
	if s.Generation >= 3 {
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
	limit = min(limit, s.maxPage())
	if page > 0 {
		offset = (page - 1) * limit
	}
	return offset, limit, offset/limit + 1, nil
}

func (s *Server) maxPage() int {
	if s.MaxPage > 0 {
		return s.MaxPage
	}
	return largestPage
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
	members, total := s.shown(offset, limit)
	var b bytes.Buffer
	s.wrapList(&b, members)
	if s.Generation >= 3 {
		fmt.Fprintf(&b, `,"total":%d,"current_page":%d,"last_page":%d`, total, page, max(1, (total+limit-1)/limit))
	}
	b.WriteByte('}')
	answer(w, b.Bytes())
}

// shown returns part of the list as it shows itself now, and its whole length.
func (s *Server) shown(offset, limit int) (members []Member, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slots := s.table.slots
	if s.Lag > 0 {
		slots = s.table.asOf(s.Now().Add(-time.Duration(s.random.Int64N(int64(s.Lag) + 1))))
	}
	if s.Skip != nil {
		slots = slices.DeleteFunc(slices.Clone(slots), func(place slot) bool { return s.Skip(place.id) })
	}
	total = len(slots)
	offset = min(offset, total)
	for _, place := range slots[offset:min(offset+limit, total)] {
		members = append(members, s.table.of(place))
	}
	return members, total
}

func (s *Server) get(w http.ResponseWriter, r *sandbox.Request) {
	s.mu.Lock()
	m, ok := s.table.get(r.PathValue("id"))
	s.mu.Unlock()
	if !ok {
		s.missing(w)
		return
	}
	answer(w, s.wrapOne(m))
}

func (s *Server) missing(w http.ResponseWriter) {
	switch {
	case s.MissingStatus != 0:
		fail(w, s.MissingStatus, "not_found", "no such user")
	case s.Generation >= 3:
		fail(w, http.StatusNotFound, "not_found", "no such user")
	default:
		bad(w, "no such user")
	}
}

func (s *Server) lookup(w http.ResponseWriter, r *sandbox.Request) {
	found := s.FindUnique(r.PathValue("unique_id"))
	if !s.Lookup || len(found) == 0 {
		// A missing route and a missing user look alike.
		noSuchPath(w, r)
		return
	}
	answer(w, s.wrapOne(found[0]))
}

func (s *Server) check(w http.ResponseWriter, r *sandbox.Request) {
	id := r.URL.Query().Get("id")
	if id == "" {
		bad(w, "id is required")
		return
	}
	s.mu.Lock()
	owner, ok := s.handovers[r.PathValue("token")]
	m, exists := s.table.get(id)
	s.mu.Unlock()
	document := map[string]any{"status": ok && exists && owner == id}
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if existing := s.table.withUnique(*unique); len(existing) > 0 && s.Duplicate != SecondUser {
		if s.Duplicate == Refuse {
			bad(w, "unique_id exists already")
			return
		}
		s.change(w, existing[0], set)
		return
	}
	m := Member{ID: strconv.Itoa(s.table.next), Values: map[string]string{}}
	s.complete(m.Values)
	apply(m.Values, set)
	s.table.put(m, s.Now(), s.Lag)
	answer(w, s.wrapOne(m))
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
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.table.get(r.PathValue("id"))
	if !ok {
		s.missing(w)
		return
	}
	s.change(w, m, set)
}

// change applies set to m, stores the result and answers it.
func (s *Server) change(w http.ResponseWriter, m Member, set map[string]*string) {
	m = m.clone()
	if s.Replace {
		for _, name := range answerFields {
			switch name {
			case "unique_id", "point", "point_geted_at", "created_at", "updated_at":
			default:
				delete(m.Values, name)
			}
		}
	}
	s.complete(m.Values)
	apply(m.Values, set)
	m.Values["updated_at"] = stamp(s.Now())
	s.table.put(m, s.Now(), s.Lag)
	answer(w, s.wrapOne(m))
}

func apply(values map[string]string, set map[string]*string) {
	for name, value := range set {
		if value == nil {
			delete(values, name)
		} else {
			values[name] = *value
		}
	}
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
func (s *Server) changes(r *sandbox.Request) (map[string]*string, error) {
	if kind := map[string]string{
		"multipart/form-data": "multipart", "application/json": "json", "application/x-www-form-urlencoded": "form",
	}[r.Media]; kind != s.encoding() {
		return nil, fmt.Errorf("the body must be %s", s.encoding())
	}
	set := map[string]*string{}
	for name, texts := range r.Fields {
		if err := s.take(set, name, &texts[0]); err != nil {
			return nil, err
		}
	}
	for name, v := range r.JSON {
		if _, known := settable[name]; !known && name != "point" {
			continue
		}
		text, err := fromJSON(name, v)
		if err == nil {
			err = s.take(set, name, text)
		}
		if err != nil {
			return nil, err
		}
	}
	if logined := set["logined"]; s.Generation >= 3 && logined != nil && *logined == "1" && set["logined_at"] == nil {
		return nil, fmt.Errorf("logined 1 needs logined_at")
	}
	return set, nil
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

func (s *Server) take(set map[string]*string, name string, text *string) error {
	target, ok := settable[name]
	if s.Trim && text != nil {
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
	case text != nil && s.Generation >= 3 && name == "password" && len(*text) < 4:
		return fmt.Errorf("password is too short")
	case text != nil && s.Generation >= 3 && name == "logined_at" && *text != "" && !timeForm.MatchString(*text):
		return fmt.Errorf("logined_at must be YYYY-MM-DD HH:MM:SS")
	}
	set[target] = text
	return nil
}
