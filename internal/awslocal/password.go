package awslocal

import (
	"math/rand/v2"
	"net/http"
	"strings"
)

// What a random password is made of.
const (
	lowercase   = "abcdefghijklmnopqrstuvwxyz"
	uppercase   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits      = "0123456789"
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

	passwordLength    = 32 // unless another is asked for
	maxPasswordLength = 4096
)

type passwordInput struct {
	PasswordLength          *int
	ExcludeCharacters       string
	ExcludeNumbers          bool
	ExcludePunctuation      bool
	ExcludeUppercase        bool
	ExcludeLowercase        bool
	IncludeSpace            bool
	RequireEachIncludedType *bool // nil: true
}

type password struct{ RandomPassword string }

// kinds returns the characters to choose from, kind by kind.
func (in passwordInput) kinds() []string {
	var kinds []string
	for _, k := range []struct {
		characters string
		excluded   bool
	}{{lowercase, in.ExcludeLowercase}, {uppercase, in.ExcludeUppercase}, {digits, in.ExcludeNumbers}, {punctuation, in.ExcludePunctuation}, {" ", !in.IncludeSpace}} {
		left := strings.Map(func(r rune) rune {
			if strings.ContainsRune(in.ExcludeCharacters, r) {
				return -1
			}
			return r
		}, k.characters)
		if !k.excluded && left != "" {
			kinds = append(kinds, left)
		}
	}
	return kinds
}

// randomPassword serves GetRandomPassword.
func randomPassword(_ *http.Request, in passwordInput) (password, error) {
	length, kinds := passwordLength, in.kinds()
	if in.PasswordLength != nil {
		length = *in.PasswordLength
	}
	each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
	switch {
	case length < 1 || length > maxPasswordLength:
		return password{}, refuse("InvalidParameterException", "PasswordLength must be between 1 and %d, not %d.", maxPasswordLength, length)
	case len(kinds) == 0:
		return password{}, refuse("InvalidParameterException", "Every character is excluded: there is nothing to make a password of.")
	case each && length < len(kinds):
		return password{}, refuse("InvalidParameterException", "PasswordLength %d is too short for one character of each of %d types.", length, len(kinds))
	}
	all := strings.Join(kinds, "")
	made := make([]byte, length)
	for i := range made {
		from := all
		if each && i < len(kinds) {
			from = kinds[i]
		}
		made[i] = from[rand.IntN(len(from))]
	}
	rand.Shuffle(length, func(i, j int) { made[i], made[j] = made[j], made[i] }) // so that no kind has a place of its own
	return password{string(made)}, nil
}
