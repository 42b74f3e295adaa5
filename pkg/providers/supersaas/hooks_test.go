package supersaas_test

import (
	"net/http"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

var target = providers.NewSecret("https://shop.example/hook/s3cret-canary")

func TestHooks(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	if hooks := must(c.Hooks(ctx)); len(hooks) != 0 {
		t.Fatalf("hooks %v", hooks)
	}
	made := map[supersaas.Trigger]supersaas.Hook{}
	for trigger, parent := range map[supersaas.Trigger]string{
		supersaas.NewUser: "", supersaas.ChangedUser: "", supersaas.Purchase: "", supersaas.NewAppointment: "555001",
		supersaas.ChangedAppointment: "555002", supersaas.NewForm: "660001", supersaas.ChangedForm: "660001",
	} {
		h := must(c.CreateHook(ctx, trigger, parent, target))
		want := parent
		if parent == "" {
			want = text(supersaastest.AccountID)
		}
		if h.ID == 0 || h.Trigger != trigger || h.Target != target || h.ParentID != want {
			t.Errorf("%s: %+v", trigger, h)
		}
		made[trigger] = h
	}
	listed := must(c.Hooks(ctx))
	if len(listed) != 7 {
		t.Errorf("%d hooks", len(listed))
	}
	for _, h := range listed {
		if h != made[h.Trigger] {
			t.Errorf("listed %+v, made %+v", h, made[h.Trigger])
		}
	}
	wantKind(t, c.DeleteHook(ctx, made["M"].ID, "555001"), providers.ErrNotFound, 404)
	wantKind(t, c.DeleteHook(ctx, 1, ""), providers.ErrNotFound, 404)
	for trigger, parent := range map[supersaas.Trigger]string{"M": "", "U": text(supersaastest.AccountID), "N": "555001", "O": "660001"} {
		if err := c.DeleteHook(ctx, made[trigger].ID, parent); err != nil {
			t.Errorf("%s: %v", trigger, err)
		}
	}
	if left := must(c.Hooks(ctx)); len(left) != 3 {
		t.Errorf("%d hooks left", len(left))
	}
	if s.Count("DELETE /api/hooks") != 6 {
		t.Error("deletions are repeated")
	}
}

func TestHookRequests(t *testing.T) {
	t.Parallel()
	a := &answering{body: `{"id":"12","parent_id":"88"}`}
	c := a.client("")
	if h := must(c.CreateHook(ctx, supersaas.ChangedUser, "", target)); h.ID != 12 || h.ParentID != "88" {
		t.Errorf("hook %+v", h)
	}
	if err := c.DeleteHook(ctx, 12, ""); err != nil {
		t.Fatal(err)
	}
	if a.sent[0].URL.String() != base+"/api/hooks" || a.bodies[0] != `{"event":"M","parent_id":"mihon salon","target_url":"https://shop.example/hook/s3cret-canary"}` {
		t.Errorf("create: %s %s", a.sent[0].URL, a.bodies[0])
	}
	if a.sent[1].URL.RawQuery != "id=12&parent_id=mihon+salon" || a.bodies[1] != `{"id":"12","parent_id":"mihon salon"}` {
		t.Errorf("delete: %s %s", a.sent[1].URL, a.bodies[1])
	}
	if err := a.client(`{"hook_parent":"880001"}`).DeleteHook(ctx, 12, ""); err != nil || a.sent[2].URL.Query().Get("parent_id") != "880001" {
		t.Errorf("with a number: %v", err)
	}
	if a.sent[0].Header.Get("Content-Type") != "application/json" || a.sent[0].Method != "POST" || a.sent[1].Method != "DELETE" {
		t.Error("methods or types")
	}
}

func TestHooksRefused(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	for _, address := range []string{
		"http://localhost/x", "http://LOCALHOST:80/x", "http://127.0.0.1/x", "http://[::1]/x", "http://10.0.0.1/x",
		"https://shop.example:5678/x", "ftp://shop.example/", "/x",
	} {
		_, err := c.CreateHook(ctx, supersaas.ChangedUser, "", providers.NewSecret(address))
		wantKind(t, err, providers.ErrInvalid, 400)
	}
	_, err := c.CreateHook(ctx, supersaas.ChangedAppointment, "1", target)
	wantKind(t, err, providers.ErrInvalid, 400)
	s.Knobs.ParentByID = true
	_, err = c.CreateHook(ctx, supersaas.ChangedUser, "", target)
	wantKind(t, err, providers.ErrInvalid, 400)
	must(c.CreateHook(ctx, supersaas.ChangedUser, text(supersaastest.AccountID), target))
	s.Knobs.AllowLocal = true
	must(c.CreateHook(ctx, supersaas.ChangedUser, text(supersaastest.AccountID), providers.NewSecret("http://127.0.0.1:1/x")))

	before := s.Count("")
	for _, trigger := range []supersaas.Trigger{"H", "R", "F", "", "MU"} {
		if _, err := c.CreateHook(ctx, trigger, "", target); err == nil || !strings.Contains(err.Error(), "must be U, M, P, N, C, S or O") {
			t.Errorf("%q: %v", trigger, err)
		}
	}
	if _, err := c.CreateHook(ctx, supersaas.ChangedUser, "", providers.Secret{}); err == nil {
		t.Error("a hook to nowhere")
	}
	if s.Count("") != before {
		t.Error("something was sent")
	}
	for body, kind := range map[string]error{`{}`: providers.ErrInvalid, `[]`: providers.ErrInvalid, `{"id":{}}`: providers.ErrInvalid} {
		_, err := (&answering{body: body}).client("").CreateHook(ctx, supersaas.ChangedUser, "", target)
		wantKind(t, err, kind, 200)
	}
}

// receiver keeps the webhooks that a sandbox posts.
type receiver struct {
	bodies  []string
	answer  int
	onEvent func()
}

func (r *receiver) RoundTrip(q *http.Request) (*http.Response, error) {
	a := &answering{status: r.answer}
	answer, err := a.RoundTrip(q)
	if q.Header.Get("Content-Type") != "application/json" || q.Method != "POST" || q.URL.String() != target.Reveal() {
		r.bodies = append(r.bodies, "wrong request")
	}
	r.bodies = append(r.bodies, a.bodies...)
	if r.onEvent != nil {
		r.onEvent()
	}
	return answer, err
}

// events are "object name id user deleted" of what was received.
func (r *receiver) events(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, body := range r.bodies {
		events, err := supersaas.ParseWebhook([]byte(body))
		if err != nil || len(events) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		all = append(all, describe(events[0]))
	}
	r.bodies = nil
	return all
}

func describe(e supersaas.Event) string {
	s := string(e.Object) + " " + e.Name + " " + text(e.ID) + " " + text(e.UserID)
	if e.Deleted {
		s += " deleted"
	}
	return s
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestWebhooksByHandAndByAPI(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	r := &receiver{}
	s.Poster = r
	for _, trigger := range []string{"U", "M", "P"} {
		s.AddHook(supersaastest.Hook{Trigger: trigger, Target: target.Reveal()})
	}
	id := s.AddUser(map[string]any{"name": "a@mail.example", "full_name": "", "phone": nil, "mobile": "090-0000-0000"})
	if len(r.bodies) != 2 || strings.Contains(r.bodies[1], "full_name") || strings.Contains(r.bodies[1], "phone") || !strings.HasSuffix(r.bodies[1], `,"event":"new"}`) {
		t.Errorf("payload %s", r.bodies)
	}
	i := text(id)
	same(t, r.events(t), "user new "+i+" "+i, "user new "+i+" "+i)
	s.ChangeUser(id, map[string]any{"full_name": "x"})
	s.DeleteUser(id)
	s.RestoreUser(id)
	s.Purchase(id)
	same(t, r.events(t), "user change "+i+" "+i, "user delete "+i+" "+i+" deleted", "user change "+i+" "+i, "purchase purchase 0 0")

	s.Quiet().ChangeUser(id, map[string]any{"full_name": "y"})
	s.Quiet().Purchase(id)
	s.Quiet().SubmitForm(id)
	s.Quiet().DeleteUser(s.Quiet().AddUser(map[string]any{"name": "silent"}))
	fields := supersaas.Fields{"full_name": "z"}
	must(c.UpdateUser(ctx, supersaas.ID(id), fields, supersaas.WriteOptions{}))
	must(c.CreateUser(ctx, "", supersaas.Fields{"name": "quiet"}, supersaas.WriteOptions{}))
	if err := c.DeleteUser(ctx, supersaas.Name("quiet"), supersaas.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, r.events(t))
	must(c.UpdateUser(ctx, supersaas.ID(id), fields, supersaas.WriteOptions{Webhook: true}))
	made := text(must(c.CreateUser(ctx, "", supersaas.Fields{"name": "loud"}, supersaas.WriteOptions{Webhook: true})).ID)
	if err := c.DeleteUser(ctx, supersaas.Name("loud"), supersaas.WriteOptions{Webhook: true}); err != nil {
		t.Fatal(err)
	}
	same(t, r.events(t), "user change "+i+" "+i, "user new "+made+" "+made, "user new "+made+" "+made, "user delete "+made+" "+made+" deleted")
}

func TestWebhooksOfAppointmentsAndForms(t *testing.T) {
	t.Parallel()
	s, _ := account(-1, "")
	r := &receiver{}
	s.Poster = r
	for trigger, parent := range map[string]int64{"C": supersaastest.ResourceSchedule, "N": supersaastest.CapacitySchedule, "O": supersaastest.FormID} {
		t.Run(trigger, func(t *testing.T) {
			s.AddHook(supersaastest.Hook{Trigger: trigger, ParentID: parent, Target: target.Reveal()})
		})
	}
	user := s.Quiet().AddUser(map[string]any{"name": "a", "full_name": "山田 花子"})
	u := text(user)
	first := s.Book(supersaastest.ResourceSchedule, user, instant(t, "2026-11-23T01:00:00Z"))
	if !strings.Contains(r.bodies[0], `"start":"2026-11-23T10:00"`) || strings.Contains(r.bodies[0], "schedule_id") {
		t.Errorf("payload %s", r.bodies[0])
	}
	for _, event := range []string{"edit", "place", "pending", "approve", "revert", "destroy", "restore"} {
		if !s.ChangeBooking(first, event) {
			t.Errorf("no %s", event)
		}
	}
	b := text(first)
	same(t, r.events(t), "appointment create "+b+" "+u, "appointment edit "+b+" "+u, "appointment place "+b+" "+u, "appointment pending "+b+" "+u,
		"appointment approve "+b+" "+u, "appointment revert "+b+" "+u, "appointment destroy "+b+" "+u+" deleted", "appointment restore "+b+" "+u)
	nobody := s.Book(supersaastest.CapacitySchedule, 0, instant(t, "2026-11-23T01:00:00Z"))
	if !strings.Contains(r.bodies[0], `"slot":{"id":`) {
		t.Errorf("payload %s", r.bodies[0])
	}
	s.ChangeBooking(nobody, "edit") // fires C, which this schedule has no hook on
	s.Book(supersaastest.ServiceSchedule, user, instant(t, "2026-11-23T01:00:00Z"))
	same(t, r.events(t), "appointment create "+text(nobody)+" 0")
	form := s.SubmitForm(user)
	s.ChangeForm(form, "change")
	s.ChangeForm(form, "delete")
	s.ChangeForm(form, "restore")
	f := text(form)
	same(t, r.events(t), "form new "+f+" "+u, "form change "+f+" "+u, "form delete "+f+" "+u+" deleted", "form restore "+f+" "+u)
	if s.Book(1, user, instant(t, "2026-11-23T01:00:00Z")) != 0 || s.ChangeBooking(1, "edit") || s.ChangeForm(1, "edit") || s.Purchase(1) {
		t.Error("something that is not there was changed")
	}
}

func TestWebhookSecretField(t *testing.T) {
	t.Parallel()
	s, _ := account(-1, "")
	r := &receiver{}
	s.Poster = r
	s.AddHook(supersaastest.Hook{Trigger: "M", Target: target.Reveal(), Extra: map[string]string{"our_key": "s3cret <ü>"}})
	s.AddUser(map[string]any{"name": "a", "full_name": "山田", "phone": 5, "group": nil})
	e := must(supersaas.ParseWebhook([]byte(r.bodies[0])))[0]
	for name, want := range map[string]string{"our_key": "s3cret <ü>", "full_name": "山田", "phone": "5", "fk": "-", "other": "-", "Our_key": "-"} {
		t.Run(name, func(t *testing.T) {
			got, ok := e.Text(name)
			if !ok {
				got = "-"
			}
			if got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		})
	}
}

func TestDeliveriesGoAstray(t *testing.T) {
	t.Parallel()
	s, _ := account(-1, "")
	r := &receiver{answer: 500}
	s.Poster = r
	s.AddHook(supersaastest.Hook{Trigger: "M", Target: target.Reveal()})
	id := s.AddUser(map[string]any{"name": "a"})
	if d := s.Deliveries(); len(d) != 1 || d[0].Status != 500 || d[0].Trigger != "M" || d[0].Target != target.Reveal() || d[0].Err != nil || string(d[0].Body) != r.bodies[0] {
		t.Errorf("deliveries %+v", d)
	}
	s.Knobs.Drop = 1
	s.ChangeUser(id, nil)
	s.Knobs = supersaastest.Knobs{Duplicate: 1}
	s.ChangeUser(id, nil)
	s.Knobs = supersaastest.Knobs{HoldBack: 1}
	s.DeleteUser(id)
	s.RestoreUser(id)
	s.Knobs = supersaastest.Knobs{}
	s.ChangeUser(id, map[string]any{"full_name": "x"})
	s.Release()
	i := text(id)
	same(t, r.events(t), "user new "+i+" "+i, "user change "+i+" "+i, "user change "+i+" "+i, "user change "+i+" "+i,
		"user change "+i+" "+i, "user delete "+i+" "+i+" deleted")
	s.Knobs.Asynchronous = true
	s.DeleteUser(id)
	if n := len(s.Deliveries()); n != 7 {
		t.Errorf("%d deliveries", n)
	}
	same(t, r.events(t), "user delete "+i+" "+i+" deleted")
}

// TestReceiverMayCallTheSandbox reads the user while the change that fired the
// webhook has just ended.
func TestReceiverMayCallTheSandbox(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	var seen []string
	r := &receiver{onEvent: func() {
		for u, err := range c.Users(ctx, supersaas.UsersQuery{}) {
			if err != nil {
				t.Error(err)
			}
			seen = append(seen, u.FullName)
		}
	}}
	s.Poster = r
	s.AddHook(supersaastest.Hook{Trigger: "M", Target: target.Reveal()})
	id := s.AddUser(map[string]any{"name": "a", "full_name": "1"})
	must(c.UpdateUser(ctx, supersaas.ID(id), supersaas.Fields{"full_name": "2"}, supersaas.WriteOptions{Webhook: true}))
	same(t, seen, "1", "2")
}
