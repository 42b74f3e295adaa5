package supersaas_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/supersaas"
)

// TestLists_Lies tells every lie about every list.
func TestLists_Lies(t *testing.T) {
	t.Parallel()
	client := func(h *http.Client) *supersaas.Client {
		return supersaas.New(providers.Fixed(providers.Token{BaseURL: base}), &providers.Options{HTTP: h, Limiter: rate.NewLimiter(rate.Inf, 1)})
	}
	users := func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
		return client(h).ReadUsers(ctx, supersaas.UsersQuery{Limit: 2})
	}
	changes := func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
		return client(h).ReadChanges(ctx, supersaas.ChangesQuery{AppointmentsQuery: on(5), From: time.Unix(0, 0)})
	}
	ranged := func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
		return client(h).ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5)})
	}
	rows := `[{"id":1,"full_name":"é"},{"id":2,"full_name":"é"}]`
	for _, l := range []canned.List{
		{Name: "users", Good: rows, Read: users},
		{Name: "changes", Good: `{"bookings":` + rows + `}`, Key: "bookings", Read: changes},
		{Name: "changes of slots", Good: `{"slots":` + rows + `}`, Key: "slots", Read: changes},
		{Name: "changes in an array", Good: rows, Read: changes},
		{Name: "range", Good: `{"bookings":` + rows + `}`, Key: "bookings", Read: ranged},
		{Name: "range of slots", Good: `{"slots":` + rows + `}`, Key: "slots", Read: ranged},
		{Name: "range in an array", Good: rows, Read: ranged},
	} {
		canned.TestList(t, l)
	}
}

func TestLists_Shapes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"bookings":[{"id":1}]}`: supersaas.ShapeBookings, `{"slots":[{"id":1}]}`: supersaas.ShapeSlots, `[{"id":1}]`: supersaas.ShapeArray,
		`{"bookings":[]}`: supersaas.ShapeBookings, `{"slots":[]}`: supersaas.ShapeSlots, `[]`: supersaas.ShapeArray, `{"bookings":[],"slots":[]}`: "",
		`{"bookings":[],"slots":[{"id":1}]}`: supersaas.ShapeSlots,
	} {
		list, err := (&answering{body: body}).client("").ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5)})
		if err != nil || list.Shape != want || list.Total != -1 {
			t.Errorf("%s: shape %q, total %d, %v", body, list.Shape, list.Total, err)
		}
	}
	for _, body := range []string{`{"bookings":[{"id":1}],"slots":[{"id":2}]}`, `{"bookings":[{"x":1}],"slots":[]}`} {
		_, err := (&answering{body: body}).client("").ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5)})
		wantKind(t, err, providers.ErrMalformed, 200)
	}
	// Lists that are read in one go are as strict.
	for _, body := range []string{`null`, `{}`, `{"errors":[{"status":"400","title":"x"}]}`, `[{"error":"x"}]`, `<html>`} {
		c := (&answering{body: body}).client("")
		_, hooks := c.Hooks(ctx)
		_, fields := c.FieldList(ctx, 0)
		_, schedules := c.Schedules(ctx)
		for _, err := range []error{hooks, fields, schedules} {
			wantKind(t, err, providers.ErrMalformed, 200)
		}
	}
	c := (&answering{body: `[]`}).client("")
	if hooks, err := c.Hooks(ctx); err != nil || len(hooks) != 0 {
		t.Error(hooks, err)
	}
}
