package supersaas

import (
	"net/url"
	"strconv"
	"strings"
)

// A Key names one user: by id, by foreign key, or by login name. Make one
// with ID, FK or Name.
type Key struct {
	id   int64  // of ID
	fk   string // of FK, without the suffix
	user string // of Name; beside the others: whom the checksum is made for
}

// ID names a user by the number that SuperSaaS gave.
func ID(id int64) Key { return Key{id: id} }

// FK names a user by the number or text that another system gave. It goes
// without the suffix fk, which the API wants and the client adds.
func FK(fk string) Key { return Key{fk: fk} }

// Name names a user by login name. A name made of digits, or ending in fk, is
// read by the provider as an id or a foreign key.
func Name(name string) Key { return Key{user: name} }

// As adds the login name to a key that has none, so that ChecksumAuth can
// prove the right to this user.
func (k Key) As(name string) Key {
	k.user = name
	return k
}

func (k Key) empty() bool { return k == Key{} }

// path appends the key to the path of the collection, as JSON's. A foreign
// key that a path cannot hold goes into the query instead.
func (k Key) path(collection string, bare bool, query url.Values) string {
	switch {
	case k.id != 0:
		return collection + "/" + strconv.FormatInt(k.id, 10) + ".json"
	case k.fk == "":
		return collection + "/" + url.PathEscape(k.user) + ".json"
	case plain(k.fk):
		return collection + "/" + k.fk + "fk.json"
	}
	value := k.fk + "fk"
	if !bare {
		value = "{" + value + "}"
	}
	query.Set("id", value)
	return collection + ".json"
}

// plain reports whether a foreign key survives in a path whatever decodes it.
func plain(fk string) bool {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return !strings.ContainsFunc(fk, func(r rune) bool { return !strings.ContainsRune(safe, r) })
}
