package exportfn

import (
	"fmt"
	"slices"
	"strings"

	"hikyaku/internal/export"
	"hikyaku/internal/spelling"
)

// fields reads HIKYAKU_EXPORT_DROP and HIKYAKU_EXPORT_HASH: entries such as
// "shopline/customers:email,phones", separated by semicolons. A field that is
// rare by nature ends in a question mark, which stays part of its path.
func (s Settings) fields() (map[string]export.Fields, []error) {
	all := map[string]export.Fields{}
	var faults []error
	for _, list := range []struct {
		name, text string
		add        func(f *export.Fields, paths []string)
	}{
		{"HIKYAKU_EXPORT_DROP", s.Drop, func(f *export.Fields, paths []string) { f.Drop = append(f.Drop, paths...) }},
		{"HIKYAKU_EXPORT_HASH", s.Hash, func(f *export.Fields, paths []string) { f.Hash = append(f.Hash, paths...) }},
	} {
		before := ""
		for entry := range strings.SplitSeq(list.text, ";") {
			if entry = strings.TrimSpace(entry); entry == "" {
				continue
			}
			dataset, paths, err := parseFields(entry, before)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", list.name, err))
				continue
			}
			before = entry
			f := all[dataset]
			list.add(&f, paths)
			all[dataset] = f
		}
	}
	for name, f := range all {
		d, _ := export.FindDataset(name) // parseFields found it
		for _, fault := range f.Faults(d) {
			faults = append(faults, fmt.Errorf("HIKYAKU_EXPORT_DROP, HIKYAKU_EXPORT_HASH: %w", fault))
		}
	}
	return all, faults
}

// exampleDataset stands in the syntax that a fault shows.
const exampleDataset = "shopline/customers"

// parseFields reads one entry. before is the entry that it follows: of that
// dataset another field may be meant.
func parseFields(entry, before string) (dataset string, paths []string, err error) {
	if err := fullWidth(entry); err != nil {
		return "", nil, err
	}
	dataset, list, colon := strings.Cut(entry, ":")
	dataset = strings.TrimSpace(dataset)
	if !known(dataset) {
		return "", nil, noDataset(entry, before, colon)
	}
	if strings.TrimSpace(list) == "" {
		return "", nil, fmt.Errorf("%q names no field; write %s:field, such as %s:email", entry, dataset, exampleDataset)
	}
	for path := range strings.SplitSeq(list, ",") {
		path = strings.TrimSpace(path)
		if head, _, colon := strings.Cut(path, ":"); colon && len(near(head)) > 0 {
			return "", nil, fmt.Errorf("%q is no field of %s; datasets are separated by semicolons, as in %s:email; yappli/users:login_id", clip(path), dataset, exampleDataset)
		}
		name, rare := strings.CutSuffix(path, "?")
		if name = strings.TrimSpace(name); strings.Contains(name, "?") {
			return "", nil, fmt.Errorf("%q: one question mark may follow a field, to say that it is rare, as in %s:memo?", clip(path), exampleDataset)
		}
		if rare {
			name += "?"
		}
		paths = append(paths, name)
	}
	return dataset, paths, nil
}

// fullWidth refuses the separators that an input method for Japanese or
// Chinese makes.
func fullWidth(entry string) error {
	for wide, plain := range map[string]string{"：": ":", "；": ";", "，": ",", "、": ",", "？": "?", "．": ".", "／": "/"} {
		if strings.Contains(entry, wide) {
			return fmt.Errorf("%q holds a full-width %q; write %q", clip(entry), wide, plain)
		}
	}
	return nil
}

// noDataset says what is wrong with an entry that does not begin with a
// dataset and a colon, and what was meant.
func noDataset(entry, before string, colon bool) error {
	head, rest, _ := strings.Cut(entry, ":")
	for _, name := range export.DatasetNames() {
		if field, found := strings.CutPrefix(entry, name); found && field != "" {
			if field = strings.TrimLeft(field, ".=/ :"); field != "" {
				return fmt.Errorf("%q: a colon separates dataset and field; did you mean %s:%s?", clip(entry), name, clip(field))
			}
		}
	}
	if guess := near(head); len(guess) > 0 {
		if rest = strings.TrimSpace(rest); rest == "" {
			rest = "field"
		}
		for i := range guess {
			guess[i] += ":" + clip(rest)
		}
		return fmt.Errorf("%q names no dataset; did you mean %s?", clip(strings.TrimSpace(head)), strings.Join(guess, " or "))
	}
	switch {
	case colon:
		return fmt.Errorf("%q names no dataset; known are %s", clip(strings.TrimSpace(head)), strings.Join(export.DatasetNames(), ", "))
	case before != "":
		return fmt.Errorf("%q names no dataset; the fields of one dataset are separated by commas, as in %s,%s", clip(entry), clip(before), clip(entry))
	}
	return fmt.Errorf("%q names no dataset; write dataset:field, such as %s:%s", clip(entry), exampleDataset, clip(entry))
}

// unknown says that a name is no dataset's.
func unknown(name string) error {
	if guess := near(name); len(guess) > 0 {
		return fmt.Errorf("%q is no dataset; did you mean %s?", clip(name), strings.Join(guess, " or "))
	}
	return fmt.Errorf("%q is no dataset; known are %s", clip(name), strings.Join(export.DatasetNames(), ", "))
}

func known(dataset string) bool { return slices.Contains(export.DatasetNames(), dataset) }

// near returns the datasets that a name may have been meant for.
func near(name string) []string {
	name = strings.Trim(strings.ToLower(name), " \t\"'")
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune("._- \\", r) {
			return '/'
		}
		return r
	}, name)
	const most = 3 // letters; more make another word
	return spelling.Nearest(export.DatasetNames(), most, func(dataset string) int {
		if strings.HasSuffix(dataset, "/"+name) {
			return 1
		}
		return spelling.Distance(name, dataset)
	})
}

// clip keeps a setting short that may be anything.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:60]) + "..."
	}
	return s
}
