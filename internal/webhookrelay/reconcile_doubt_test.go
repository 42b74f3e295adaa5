package webhookrelay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const (
	usersPath   = "/api/users.json"
	membersPath = "/api/ext/users"
)

// lists answers the requests for one of the lists otherwise: answer gets the
// number of the request, from 0, and returns a body, or nil to leave it to the
// sandbox.
func (r *rig) lists(path string, answer func(request int, q *http.Request) (status int, body []byte)) {
	request := 0
	r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
		if q.Method == http.MethodGet && q.URL.Path == path {
			status, body := answer(request, q)
			request++
			if body != nil {
				return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: q}, nil
			}
		}
		return both{r.shop, r.crm}.RoundTrip(q)
	})
}

// page cuts a page out of members as the tenant would show it.
func page(q *http.Request, members []yapplitest.Member) []byte {
	offset, _ := strconv.Atoi(q.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(q.URL.Query().Get("limit"))
	b := []byte(`{"members":[`)
	for i, m := range members[min(offset, len(members)):min(offset+limit, len(members))] {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"member":%s}`, m.JSON())
	}
	return append(b, "]}"...)
}

// strangers makes n users and a member of each that nobody has linked.
func (r *rig) strangers(n int) {
	r.mapping = "login_id: email\ncolumn01: full_name\n" // to read phone numbers takes longer than all else
	for i := range n {
		user := r.person(fmt.Sprintf("会員 %05d", i))
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique(user), "column01": "旧"}})
	}
}

// wantNobodyTwice ends what a reconcile has begun and looks whether a member
// was made twice.
func (r *rig) wantNobodyTwice(t *testing.T, what string) {
	t.Helper()
	r.transport = nil
	r.settleAll()
	count := map[string]int{}
	for _, m := range r.crm.Members() {
		count[m.Values["unique_id"]]++
	}
	for id, n := range count {
		if n > 1 {
			t.Fatalf("%s: %d members are %s", what, n, id)
		}
	}
}

// TestReconcile_AnswersThatAreNoList: what an ill tenant says instead of its
// list, once or for ever, makes nobody of those who are there twice.
func TestReconcile_AnswersThatAreNoList(t *testing.T) {
	for _, body := range []string{
		`{"members":[]}`, `{"members":null}`, `{"members":[],"errors":[{"message":"try later"}]}`, `{"error":"upstream"}`,
		`{"status":"error","members":[]}`, `[]`, `{}`, `<html></html>`, `{"members":{}}`, ``,
	} {
		for _, path := range []string{membersPath, usersPath} {
			for _, from := range []int{0, 1} {
				t.Run(fmt.Sprint(path, body, from), func(t *testing.T) {
					inBubble(t, func(t *testing.T, r *rig) {
						r.quirks = `{"update":"partial","page_size":10}`
						r.strangers(24)
						r.lists(path, func(request int, _ *http.Request) (int, []byte) {
							if request == from {
								return http.StatusOK, append([]byte{}, body+" "...)
							}
							return 0, nil
						})
						for range 3 {
							if _, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false); err == nil {
								break
							}
						}
						r.wantNobodyTwice(t, body)
						r.reconcile()
						r.wantNobodyTwice(t, body)
						if second := r.reconcile(); second.Sent != 0 || second.Matched != 25 {
							t.Fatalf("report = %+v", second)
						}
					})
				})
			}
		}
	}
}

// TestReconcile_MembersWhoJump: one after the other of a list that shows who was
// changed last first moves out of the part not read yet into the one that was.
// The member that would be created is looked for once more.
func TestReconcile_MembersWhoJump(t *testing.T) {
	for seed := range uint64(prove.Sample(20, 4)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				random := rand.New(rand.NewPCG(seed, 1))
				r.quirks = `{"update":"partial","page_size":30}`
				r.strangers(170)
				order := r.crm.Members()
				jumps := 0
				r.lists(membersPath, func(request int, q *http.Request) (int, []byte) {
					if offset, _ := strconv.Atoi(q.URL.Query().Get("offset")); request > 0 && jumps < 5 && offset > 0 && offset < 140 {
						jumps++
						i := offset + 2 + random.IntN(len(order)-offset-2)
						m := order[i]
						order = slices.Insert(slices.Delete(order, i, i+1), 0, m)
					}
					return http.StatusOK, page(q, order)
				})
				report := r.reconcile()
				if jumps == 0 || report.Matched != 170 || report.Missing != 1 {
					t.Errorf("%d jumps, report = %+v; want everybody who is there", jumps, report)
				}
				r.wantNobodyTwice(t, "a list that moves")
			})
		})
	}
}

// TestReconcile_LooksTwiceOnlyForSomebody: a list that grew in front is not read
// again where nobody would be made for it.
func TestReconcile_LooksTwiceOnlyForSomebody(t *testing.T) {
	for name, extra := range map[string]int{"nobody is missing": 0, "somebody is": 1} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.quirks = `{"update":"partial","page_size":30}`
				r.strangers(100)
				r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique(r.shop.UserIDs()[0])}}) // the keeper's
				r.reconcile()
				r.settleAll()
				for range extra {
					r.person("新人")
				}
				order := r.crm.Members()
				asked := 0
				r.lists(membersPath, func(request int, q *http.Request) (int, []byte) {
					if asked++; request == 2 { // a stranger, whom only a second look shows
						order = slices.Insert(order, 0, yapplitest.Member{ID: "9", Values: map[string]string{"unique_id": "new"}})
					}
					return http.StatusOK, page(q, order)
				})
				report := r.reconcile()
				if report.Drift != 0 || report.Members != 101+extra || report.Unclaimed != extra || report.Matched != 101 || report.Missing != extra {
					t.Fatalf("report = %+v", report)
				}
				if looks := (asked + 1) / 5; looks != 1+extra {
					t.Errorf("%d pages asked for, %d missing", asked, extra)
				}
				r.wantNobodyTwice(t, name)
			})
		})
	}
}

// TestReconcile_UnstableOrder: lists whose ties come in another order with each
// request make nobody of those who are there twice.
func TestReconcile_UnstableOrder(t *testing.T) {
	for name, c := range map[string]struct{ members, size, from, group int }{
		"4 tied over the boundary": {120, 50, 48, 4},
		"groups of 60":             {300, 50, 0, 60},
		"all shuffled":             {300, 50, 0, 300},
		"all of few shuffled":      {40, 30, 0, 40},
	} {
		for _, each := range []bool{false, true} { // with each request, or from the second on
			for seed := range uint64(prove.Size(160, 1)) { // .ci/run: 8
				t.Run(fmt.Sprint(name, each, seed), func(t *testing.T) {
					inBubble(t, func(t *testing.T, r *rig) {
						r.quirks = fmt.Sprintf(`{"update":"partial","page_size":%d}`, c.size)
						r.strangers(c.members)
						members := r.crm.Members()
						r.lists(membersPath, func(request int, q *http.Request) (int, []byte) {
							if !each {
								request = min(request, 1)
							}
							order := slices.Clone(members)
							for from := c.from; from < len(order) && (from == c.from || c.from == 0); from += c.group {
								tie := order[from:min(from+c.group, len(order))]
								rand.New(rand.NewPCG(seed, uint64(request))).Shuffle(len(tie), func(i, j int) { tie[i], tie[j] = tie[j], tie[i] })
							}
							return http.StatusOK, page(q, order)
						})
						r.reconcile()
						r.wantNobodyTwice(t, name)
					})
				})
			}
		}
	}
}

// TestReconcile_LosesItsPlace: all members that it has read are gone from the
// list at once, and those after them may have been missed.
func TestReconcile_LosesItsPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.quirks = `{"update":"partial","page_size":30}`
		r.strangers(120)
		members := r.crm.Members()
		r.lists(membersPath, func(request int, q *http.Request) (int, []byte) {
			if request == 2 {
				members = slices.Delete(members, 0, 70)
			}
			return http.StatusOK, page(q, members)
		})
		if report := r.reconcile(); report.Drift == 0 || report.Missing != 0 || report.Sent > report.Differing {
			t.Fatalf("report = %+v; want drift, and nobody missing", report)
		}
		r.wantNobodyTwice(t, "a place that was lost")
	})
}

// TestReconcile_WaitsForARecordThatFails: the tenant answers 500 for whatever
// holds one member. The run asks to be called later, without being billed for
// the time, and in the end goes on without that member, in doubt.
func TestReconcile_WaitsForARecordThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.strangers(70)
		members := r.crm.Members()
		r.lists(membersPath, func(_ int, q *http.Request) (int, []byte) {
			offset, _ := strconv.Atoi(q.URL.Query().Get("offset"))
			limit, _ := strconv.Atoi(q.URL.Query().Get("limit"))
			if offset <= 33 && 33 < offset+limit {
				return http.StatusInternalServerError, []byte("{}")
			}
			return http.StatusOK, page(q, members)
		})
		began, waits := time.Now(), 0
		for {
			result, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false)
			if err != nil || waits > 10 {
				t.Fatalf("after %d waits: %+v, %v", waits, result, err)
			}
			if result.Status == "done" {
				report := result.Report
				if report.Unreadable != 1 || report.Drift != 1 || report.Matched != 69 || report.Missing != 0 {
					t.Fatalf("report = %+v; want all but one, and nobody missing", report)
				}
				break
			}
			if result.Status != "busy" || result.Cause == "" || !result.Until.After(time.Now()) {
				t.Fatalf("result = %+v; want to be called later", result)
			}
			waits++
			time.Sleep(time.Until(result.Until))
		}
		if waits == 0 || time.Since(began) < 5*time.Minute || r.crm.Count("GET "+membersPath) > 0 {
			t.Errorf("%d waits, %s", waits, time.Since(began))
		}
		r.wantNobodyTwice(t, "a record that fails")
	})
}

// TestReconcile_HoldsARunToOneForm: answers in another documented form than the
// run's are a fault of those answers, also for the invocation that goes on.
func TestReconcile_HoldsARunToOneForm(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.quirks = `{"update":"partial","page_size":30}`
		r.strangers(70)
		members := r.crm.Members()
		flat := true
		r.lists(membersPath, func(request int, q *http.Request) (int, []byte) {
			body := page(q, members)
			if request > 0 && flat {
				body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(`{"member":`), nil), []byte(`}}`), []byte(`}`))
			}
			return http.StatusOK, body
		})
		for range 2 {
			_, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false)
			if !errors.Is(err, providers.ErrMalformed) {
				t.Fatalf("err = %v; want a malformed answer", err)
			}
		}
		flat = false
		if report := r.reconcile(); report.Matched != 70 || report.Drift != 0 {
			t.Fatalf("report = %+v", report)
		}
		r.wantNobodyTwice(t, "two forms")
	})
}
