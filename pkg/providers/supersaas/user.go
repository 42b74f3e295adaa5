package supersaas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers"
)

// A Role is a user's right.
type Role int64

// The roles that the seed names.
const (
	RoleUser      Role = 3
	RoleSuperuser Role = 4
	RoleBlocked   Role = -1
)

// A User is one person of the account. Texts that the answer leaves out or
// sends as null are empty; Fields tells those states apart.
type User struct {
	ID         int64
	FK         string // foreign key without the suffix fk; empty: none
	Name       string // login name, an e-mail address in many accounts
	Email      string
	FullName   string
	Address    string
	Phone      string
	Mobile     string
	Country    string // ISO 3166-1, two letters
	Timezone   string // IANA
	Field1     string // labels of these three: FieldList
	Field2     string
	SuperField string
	Credit     string // a decimal number, or "-" for unlimited
	Role       Role
	Group      string
	CreatedOn  time.Time // UTC, like the two below; zero: absent or unreadable
	UpdatedOn  time.Time
	LastLogin  time.Time
	Deleted    bool
	Form       json.RawMessage // only if asked for; its schema is the account's

	raw json.RawMessage
}

type userDocument struct {
	ID         providers.Text  `json:"id"`
	FK         providers.Text  `json:"fk"`
	Name       providers.Text  `json:"name"`
	Email      providers.Text  `json:"email"`
	FullName   providers.Text  `json:"full_name"`
	Address    providers.Text  `json:"address"`
	Phone      providers.Text  `json:"phone"`
	Mobile     providers.Text  `json:"mobile"`
	Country    providers.Text  `json:"country"`
	Timezone   providers.Text  `json:"timezone"`
	Field1     providers.Text  `json:"field_1"`
	Field2     providers.Text  `json:"field_2"`
	SuperField providers.Text  `json:"super_field"`
	Credit     providers.Text  `json:"credit"`
	Role       providers.Text  `json:"role"`
	Group      providers.Text  `json:"group"`
	CreatedOn  instant         `json:"created_on"`
	UpdatedOn  instant         `json:"updated_on"`
	LastLogin  instant         `json:"last_login"`
	Deleted    providers.Flag  `json:"deleted"`
	Form       json.RawMessage `json:"form"`
}

// UnmarshalJSON reads a user as the API or a webhook sends one. Only the id
// is required.
func (u *User) UnmarshalJSON(b []byte) error {
	var d userDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	id, ok := parseID(d.ID)
	if !ok {
		return fmt.Errorf("%w: a user without a numeric id", providers.ErrInvalid)
	}
	role, _ := strconv.ParseInt(string(d.Role), 10, 64)
	*u = User{
		ID: id, FK: strings.TrimSuffix(string(d.FK), "fk"), Name: string(d.Name), Email: string(d.Email),
		FullName: string(d.FullName), Address: string(d.Address), Phone: string(d.Phone), Mobile: string(d.Mobile),
		Country: string(d.Country), Timezone: string(d.Timezone), Field1: string(d.Field1), Field2: string(d.Field2),
		SuperField: string(d.SuperField), Credit: string(d.Credit), Role: Role(role), Group: string(d.Group),
		CreatedOn: time.Time(d.CreatedOn), UpdatedOn: time.Time(d.UpdatedOn), LastLogin: time.Time(d.LastLogin),
		Deleted: bool(d.Deleted), Form: d.Form, raw: bytes.Clone(b),
	}
	return nil
}

// Raw returns the provider's own object, byte for byte. Do not change it.
func (u User) Raw() json.RawMessage { return u.raw }

// Fields returns every field as the provider sent it, with numbers as
// json.Number. Three states stay apart: a name that is missing, one that is
// nil (null was sent), and one that is "".
func (u User) Fields() map[string]any { return fieldsOf(u.raw) }

func fieldsOf(raw []byte) map[string]any {
	fields := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if dec.Decode(&fields) != nil {
		return map[string]any{}
	}
	return fields
}

// parseID accepts an id as number or text, and nothing that is not a positive
// integer.
func parseID(t providers.Text) (int64, bool) {
	id, err := strconv.ParseInt(string(t), 10, 64)
	return id, err == nil && id > 0
}

// instant is a time of the API, in UTC. One that cannot be read is zero, so
// that a new notation does not make a whole list unreadable.
type instant time.Time

func (i *instant) UnmarshalJSON(b []byte) error {
	var t providers.Text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime} {
		if at, err := time.Parse(layout, string(t)); err == nil {
			*i = instant(at.UTC())
			return nil
		}
	}
	*i = instant{}
	return nil
}
