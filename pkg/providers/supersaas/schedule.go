package supersaas

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// A Schedule is one calendar of the account.
type Schedule struct {
	ID   int64
	Name string
}

// UnmarshalJSON reads {"id":1,"name":"x"}, and the tuple [1,"x"] of which the
// documents speak.
func (s *Schedule) UnmarshalJSON(b []byte) error {
	var d struct {
		ID   providers.Text `json:"id"`
		Name providers.Text `json:"name"`
	}
	if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '[' {
		if err := json.Unmarshal(b, &[]any{&d.ID, &d.Name}); err != nil {
			return err
		}
	} else if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	id, ok := parseID(string(d.ID))
	if !ok {
		return fmt.Errorf("%w: a schedule without a numeric id", providers.ErrInvalid)
	}
	*s = Schedule{ID: id, Name: string(d.Name)}
	return nil
}

// Schedules lists the account's schedules.
func (c *Client) Schedules(ctx context.Context) ([]Schedule, error) {
	var schedules []Schedule
	_, err := c.do(ctx, "schedules.list", operation{path: "/api/schedules.json", read: func(body []byte) error {
		var err error
		schedules, err = readSchedules(body)
		return err
	}})
	return schedules, err
}

func readSchedules(body []byte) ([]Schedule, error) {
	body, err := jsonscan.Plain(body, call.ObjectSize)
	if err != nil {
		return nil, err
	}
	schedules := []Schedule{}
	if i := jsonscan.SkipSpace(body, 0); i < len(body) && body[i] == '[' {
		if i = jsonscan.SkipSpace(body, i+1); i < len(body) && body[i] == '[' {
			if json.Unmarshal(body, &schedules) != nil {
				return nil, &jsonscan.NotAListError{Found: "an array of arrays that are no schedules"}
			}
			return schedules, nil
		}
	}
	list, err := jsonscan.Split(body, jsonscan.Limits{}, schedulesShape)
	if err != nil {
		return nil, err
	}
	return call.Records(providers.SuperSaaS, "schedules.list", list, call.Unmarshal[Schedule])
}

// A Field describes one field of the user object or of a schedule's bookings.
type Field struct {
	Name     string `json:"name"`     // as in a User's fields
	Label    string `json:"label"`    // what people see
	Type     string `json:"type"`     // the provider's own word
	Advanced bool   `json:"advanced"` // kept apart from the others in the account's settings
	Spec     string `json:"spec"`     // choices and the like, in the provider's notation
}

// UnmarshalJSON reads a field; whatever is missing or null is empty.
func (f *Field) UnmarshalJSON(b []byte) error {
	var d struct {
		Name     providers.Text  `json:"name"`
		Label    providers.Text  `json:"label"`
		Type     providers.Text  `json:"type"`
		Advanced providers.Flag  `json:"advanced"`
		Spec     json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	spec := providers.Text("")
	if spec.UnmarshalJSON(d.Spec) != nil {
		spec = providers.Text(d.Spec)
	}
	*f = Field{Name: string(d.Name), Label: string(d.Label), Type: string(d.Type), Advanced: bool(d.Advanced), Spec: string(spec)}
	return nil
}

// FieldList describes the fields of users, or those of a schedule's bookings
// if schedule is not 0.
func (c *Client) FieldList(ctx context.Context, schedule int64) ([]Field, error) {
	o := operation{path: "/api/field_list.json", query: url.Values{}}
	if schedule != 0 {
		o.query.Set("schedule_id", strconv.FormatInt(schedule, 10))
	}
	list, err := c.list(ctx, "field_list", o, 0, fieldsShape)
	if err != nil {
		return nil, err
	}
	return call.Records(providers.SuperSaaS, "field_list", list, call.Unmarshal[Field])
}
