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

// The roles that the guide names.
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
	odd []string
}

// UnmarshalJSON reads a user as the API or a webhook sends one. Only the id is
// required, and a deleted that says whether the user is. What is odd in any other
// field spoils that field alone: see Odd.
func (u *User) UnmarshalJSON(b []byte) error {
	r, err := readRecord(b)
	if err != nil {
		return err
	}
	id := r.id("id")
	if id == 0 {
		return fmt.Errorf("%w: a user without a numeric id", providers.ErrInvalid)
	}
	deleted, known := flags[strings.ToLower(r.text("deleted"))]
	if !known || len(r.odd) > 0 {
		return fmt.Errorf("%w: user %d neither says that it is deleted nor that it is not", providers.ErrInvalid, id)
	}
	role, _ := strconv.ParseInt(r.text("role"), 10, 64)
	*u = User{
		ID: id, FK: strings.TrimSuffix(r.text("fk"), "fk"), Name: r.text("name"), Email: r.text("email"),
		FullName: r.text("full_name"), Address: r.text("address"), Phone: r.text("phone"), Mobile: r.text("mobile"),
		Country: r.text("country"), Timezone: r.text("timezone"), Field1: r.text("field_1"), Field2: r.text("field_2"),
		SuperField: r.text("super_field"), Credit: r.text("credit"), Role: Role(role), Group: r.text("group"),
		CreatedOn: r.time("created_on"), UpdatedOn: r.time("updated_on"), LastLogin: r.time("last_login"),
		Deleted: deleted, Form: r.fields["form"], raw: bytes.Clone(b),
	}
	u.odd = r.odd
	return nil
}

// flags are the ways of saying whether a user is deleted.
var flags = map[string]bool{"true": true, "1": true, "false": false, "0": false, "": false}

// Odd names the fields that hold an object or an array where a text is expected.
// They are empty here; Fields returns them as they came.
func (u User) Odd() []string { return u.odd }

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
