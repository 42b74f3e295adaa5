package awslocal

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"hikyaku/internal/secretstore"
)

// A secretEntry is a secret as DescribeSecret and ListSecrets show it.
type secretEntry struct {
	ARN, Name string

	Description *string `json:",omitempty"`
	KMSKeyID    string  `json:"KmsKeyId,omitempty"`
	Tags        []tag   `json:",omitempty"`

	CreatedDate, LastChangedDate                   float64
	LastAccessedDate, LastRotatedDate, DeletedDate float64 `json:",omitempty"`

	RotationEnabled   *bool  `json:",omitempty"` // of a secret that was once set up for rotation
	RotationLambdaARN string `json:",omitempty"`

	VersionIDsToStages     map[string][]string `json:"VersionIdsToStages,omitempty"`     // of DescribeSecret
	SecretVersionsToStages map[string][]string `json:"SecretVersionsToStages,omitempty"` // of ListSecrets
}

func (s *secretsManager) shown(e secretstore.Entry) secretEntry {
	note := s.notes.read(e)
	out := secretEntry{
		ARN: secretFullARN(e.Name), Name: e.Name, Description: note.description, KMSKeyID: note.key, Tags: note.tags,
		CreatedDate: seconds(e.Created), LastChangedDate: seconds(lastChange(e, note)), RotationLambdaARN: e.Rotation.Function,
	}
	if e.Rotation.Function != "" {
		out.RotationEnabled = &e.Rotation.Enabled
	}
	if e.Rotation.Enabled && !note.rotated.IsZero() {
		out.LastRotatedDate = seconds(note.rotated)
	}
	if !e.Accessed.IsZero() { // the service says only the day
		out.LastAccessedDate = seconds(e.Accessed.UTC().Truncate(24 * time.Hour))
	}
	if !e.DeleteAt.IsZero() {
		out.DeletedDate = seconds(e.DeleteAt)
	}
	return out
}

func lastChange(e secretstore.Entry, note secretNote) time.Time {
	if note.changed.After(e.Changed) {
		return note.changed
	}
	return e.Changed
}

// describe shows stages as they are read, lag and all.
func (s *secretsManager) describe(r *http.Request, in secretID) (secretEntry, error) {
	d, err := s.fake.Describe(r.Context(), in.name())
	if err != nil {
		return secretEntry{}, err
	}
	e, err := s.entry(in.name())
	if err != nil {
		return secretEntry{}, err
	}
	out := s.shown(e)
	out.VersionIDsToStages = stages(d.Versions)
	return out, nil
}

func stages(versions []secretstore.Version) map[string][]string {
	out := map[string][]string{}
	for _, v := range versions {
		if len(v.Stages) > 0 {
			out[v.ID] = v.Stages
		}
	}
	return out
}

type listSecretsInput struct {
	IncludePlannedDeletion bool
	Filters                []secretFilter
	MaxResults             *int
	NextToken              string
	SortOrder, SortBy      string
}

type secretList struct {
	SecretList []secretEntry
	NextToken  string `json:",omitempty"`
}

const maxListed = 100 // secrets of one page, and how many come unless fewer are asked for

// list shows a page of secrets. A token is the place of the last one of the
// page before, so that secrets that come and go move no others.
func (s *secretsManager) list(_ *http.Request, in listSecretsInput) (secretList, error) {
	size := maxListed
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	key, err := sortKey(in.SortBy)
	switch {
	case err != nil:
		return secretList{}, err
	case size < 1 || size > maxListed:
		return secretList{}, refuse("InvalidParameterException", "MaxResults must be between 1 and %d, not %d.", maxListed, size)
	case in.SortOrder != "" && in.SortOrder != "asc" && in.SortOrder != "desc":
		return secretList{}, refuse("InvalidParameterException", "SortOrder must be asc or desc, not %s.", in.SortOrder)
	}
	after, err := base64.URLEncoding.DecodeString(in.NextToken)
	if err != nil {
		return secretList{}, refuse("InvalidNextTokenException", "The NextToken value is invalid.")
	}
	if err := checkFilters(in.Filters); err != nil {
		return secretList{}, err
	}
	out := secretList{SecretList: []secretEntry{}}
	place := func(e secretEntry) string { return key(e) + " " + e.Name }
	compare := func(a, b string) int {
		if in.SortOrder == "desc" {
			a, b = b, a
		}
		return strings.Compare(a, b)
	}
	for _, e := range s.fake.Entries() {
		shown := s.shown(e)
		if (e.DeleteAt.IsZero() || in.IncludePlannedDeletion) && matchesAll(in.Filters, shown) && (len(after) == 0 || compare(place(shown), string(after)) > 0) {
			shown.SecretVersionsToStages = stages(e.Versions)
			out.SecretList = append(out.SecretList, shown)
		}
	}
	slices.SortFunc(out.SecretList, func(a, b secretEntry) int { return compare(place(a), place(b)) })
	if len(out.SecretList) > size {
		out.SecretList = out.SecretList[:size]
		out.NextToken = base64.URLEncoding.EncodeToString([]byte(place(out.SecretList[size-1])))
	}
	return out, nil
}

// sortKey returns what secrets are sorted by, before their names.
func sortKey(by string) (func(secretEntry) string, error) {
	moment := func(of func(secretEntry) float64) func(secretEntry) string {
		return func(e secretEntry) string { return fmt.Sprintf("%020.3f", of(e)) }
	}
	switch cmp.Or(by, "created-date") {
	case "created-date":
		return moment(func(e secretEntry) float64 { return e.CreatedDate }), nil
	case "last-changed-date":
		return moment(func(e secretEntry) float64 { return e.LastChangedDate }), nil
	case "last-accessed-date":
		return moment(func(e secretEntry) float64 { return e.LastAccessedDate }), nil
	case "name":
		return func(secretEntry) string { return "" }, nil
	}
	return nil, refuse("InvalidParameterException", "SortBy must be created-date, last-accessed-date, last-changed-date or name, not %s.", by)
}

// A secretFilter holds for a secret if one of its values does.
type secretFilter struct {
	Key    string
	Values []string
}

// filtered are the attributes that a filter's key looks at. No secret here
// belongs to another service, so that owning-service finds none.
var filtered = map[string]func(secretEntry) []string{
	"name": func(e secretEntry) []string { return []string{e.Name} },
	"description": func(e secretEntry) []string {
		if e.Description == nil {
			return nil
		}
		return []string{*e.Description}
	},
	"tag-key":        func(e secretEntry) []string { return each(e.Tags, func(t tag) string { return t.Key }) },
	"tag-value":      func(e secretEntry) []string { return each(e.Tags, func(t tag) string { return t.Value }) },
	"primary-region": func(secretEntry) []string { return []string{Region} },
	"owning-service": func(secretEntry) []string { return nil },
	"all":            nil, // every one of the others; see matches
}

func each(tags []tag, part func(tag) string) []string {
	out := make([]string, 0, len(tags))
	for _, t := range tags {
		out = append(out, part(t))
	}
	return out
}

const maxFilters = 10 // and values of each

func checkFilters(filters []secretFilter) error {
	if len(filters) > maxFilters {
		return refuse("InvalidParameterException", "A list takes at most %d Filters, not %d.", maxFilters, len(filters))
	}
	for _, f := range filters {
		_, ok := filtered[f.Key]
		switch {
		case !ok:
			return refuse("InvalidParameterException", "Invalid filter key %q: it must be one of %s.", f.Key, list(filtered))
		case len(f.Values) == 0 || len(f.Values) > maxFilters:
			return refuse("InvalidParameterException", "Invalid filter values for key %s: there must be 1 to %d.", f.Key, maxFilters)
		}
	}
	return nil
}

func matchesAll(filters []secretFilter, e secretEntry) bool {
	return !slices.ContainsFunc(filters, func(f secretFilter) bool { return !f.matches(e) })
}

// matches says whether one of the filter's values holds; one that begins with
// an exclamation mark holds where the rest of it does not.
func (f secretFilter) matches(e secretEntry) bool {
	return slices.ContainsFunc(f.Values, func(value string) bool {
		if rest, not := strings.CutPrefix(value, "!"); not {
			return !f.finds(rest, e)
		}
		return f.finds(value, e)
	})
}

func (f secretFilter) finds(value string, e secretEntry) bool {
	var attributes []string
	compare := hasWords
	switch f.Key {
	case "all":
		for _, of := range filtered {
			if of != nil {
				attributes = append(attributes, of(e)...)
			}
		}
	case "description":
		attributes = filtered[f.Key](e)
	default:
		attributes, compare = filtered[f.Key](e), strings.HasPrefix
	}
	return slices.ContainsFunc(attributes, func(attribute string) bool { return compare(attribute, value) })
}

// hasWords says whether every word of a value begins a word of an attribute,
// in either case.
func hasWords(attribute, value string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	asked := words(value)
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(word string) bool {
		return !slices.ContainsFunc(words(attribute), func(has string) bool { return strings.HasPrefix(has, word) })
	})
}

type listVersionsInput struct {
	secretID

	IncludeDeprecated bool
}

type listedVersion struct {
	VersionID     string   `json:"VersionId"`
	VersionStages []string `json:",omitempty"`
	CreatedDate   float64
}

type versionList struct {
	ARN, Name string
	Versions  []listedVersion
}

func (s *secretsManager) listVersions(_ *http.Request, in listVersionsInput) (versionList, error) {
	e, err := s.entry(in.name())
	if err != nil {
		return versionList{}, err
	}
	out := versionList{ARN: secretFullARN(e.Name), Name: e.Name, Versions: []listedVersion{}}
	for _, v := range e.Versions {
		if len(v.Stages) > 0 || in.IncludeDeprecated {
			out.Versions = append(out.Versions, listedVersion{VersionID: v.ID, VersionStages: v.Stages, CreatedDate: seconds(v.Created)})
		}
	}
	return out, nil
}
