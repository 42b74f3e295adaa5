package mapping

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"hikyaku/pkg/providers/supersaas"
)

// foldVersion is of the rules of FoldIdentity.
const foldVersion = 1

// Folding names the rules by which identities are folded: their version and the
// region in which telephone numbers are read.
func (m *Mapping) Folding() string { return strconv.Itoa(foldVersion) + " " + m.options.region }

// IdentityOf returns the value of a user's identity field as it was written, less
// what shows nothing around it; "" if the user has none.
func IdentityOf(u supersaas.User, by string) string {
	switch by {
	case "id":
		return strconv.FormatInt(u.ID, 10) // the same in every alias of the number
	case "fk":
		return strings.TrimFunc(u.FK, nothing)
	}
	v, _ := ValueOf(u.Fields()[by])
	return strings.TrimFunc(v.Text, nothing)
}

// FoldIdentity returns the one form of all aliases that a person would call the
// same. Of a telephone number that is E.164, or its digits where it is no valid
// one. Elsewhere characters of another width count as the usual ones, and so do
// capitals in what has one @.
func (m *Mapping) FoldIdentity(by, value string) string {
	folded := foldText(value)
	if by != "phone" && by != "mobile" {
		return folded
	}
	digits := phonenumbers.NormalizeDigitsOnly(folded)
	number, _ := internationalNumber(folded, m.options.region).(string)
	alone, _ := internationalNumber(digits, m.options.region).(string) // so that the digits fold to what they do
	return cmp.Or(number, alone, digits, folded)
}

func foldText(value string) string {
	folded := norm.NFKC.String(value)
	if strings.Count(folded, "@") == 1 {
		folded = norm.NFKC.String(strings.ToLower(cases.Fold().String(folded))) // ToLower: of Cherokee, cases.Fold only changes the case
	}
	return strings.TrimFunc(folded, nothing)
}
