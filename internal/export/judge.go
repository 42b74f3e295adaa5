package export

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"hikyaku/internal/spelling"
	"hikyaku/pkg/jsonscan"
)

// judgedAlone is from how many records on the first part alone decides whether a
// path matches. Among fewer, a field may be missing by chance.
const judgedAlone = 100

// A Redaction says of one path of HIKYAKU_EXPORT_DROP or HIKYAKU_EXPORT_HASH
// whether records had it.
type Redaction struct {
	Path   string `json:"path"`
	Action string `json:"action"` // drop or hash
	Rare   bool   `json:"rare,omitempty"`
	// MatchedBy is the newest published run, this one or one before it, whose
	// records had the path; empty: none is known.
	MatchedBy string `json:"matched_by,omitempty"`
}

func (p redactPath) recorded() Redaction {
	action := "drop"
	if p.hash {
		action = "hash"
	}
	return Redaction{Path: p.path, Action: action, Rare: p.rare}
}

// recorded says what m's records had of the paths, from its parts' checkpoints,
// and what earlier runs' had.
func (f Fields) recorded(m Manifest, points []checkpoint, before *Manifest) []Redaction {
	paths := f.paths()
	list := make([]Redaction, 0, len(paths))
	for i, p := range paths {
		one := p.recorded()
		if slices.ContainsFunc(points, func(c checkpoint) bool { return redacts(c, i) }) {
			one.MatchedBy = m.Run
		} else {
			one.MatchedBy = matchedBefore(before, m.Source, one)
		}
		list = append(list, one)
	}
	return list
}

// matchedBefore returns the run that has met a path at the same account, in answers of
// the same generation, and treated it alike.
func matchedBefore(m *Manifest, source Origin, p Redaction) string {
	if m == nil || m.Source.Account != source.Account || source.Shape != "" && m.Source.Shape != source.Shape {
		return ""
	}
	for _, one := range m.Redaction {
		if one.Path == p.Path && one.Action == p.Action {
			return one.MatchedBy
		}
	}
	return ""
}

// redacts reports whether a record of the part had the path of that index.
func redacts(c checkpoint, path int) bool {
	bits, ok := new(big.Int).SetString(c.Redacted, 16)
	return ok && bits.Bit(path) == 1
}

// judgeRedaction is called before each part or its rejects are stored. It
// refuses the first part that has rows if a path matched none of them: the
// setting then names something else than what it was to keep back.
func (w *writer) judgeRedaction(ctx context.Context) error {
	if w.redact == nil || w.redact.refusal != nil {
		return w.redact.refused()
	}
	if !w.redact.judged && w.part.point.Rows > 0 {
		if err := w.judgeFirst(ctx); err != nil {
			return err
		}
		w.redact.judged = true
	}
	w.part.point.Redacted = w.redact.hitsOfPart()
	return nil
}

// refused returns the error with which the redaction has refused the run, for every
// further attempt to store; nil if it has not.
func (r *redactor) refused() error {
	if r == nil {
		return nil
	}
	return r.refusal
}

// hitsOfPart returns which paths the part's records had, in a form for its
// checkpoint, and begins to count for the next part.
func (r *redactor) hitsOfPart() string {
	bits := new(big.Int)
	for i, hits := range r.hits {
		if hits > 0 {
			bits.SetBit(bits, i, 1)
		}
	}
	clear(r.hits)
	return bits.Text(16)
}

// judgeFirst judges the part at hand, unless the run has stored rows already:
// they have been judged.
func (w *writer) judgeFirst(ctx context.Context) error {
	if w.number > 0 {
		_, points, err := w.stored(ctx)
		if err != nil {
			return err
		}
		for _, c := range points {
			switch {
			case c.Rows > 0 && c.Redacted == "":
				return fmt.Errorf("redaction of %s: the run was begun by a version that did not look whether the paths match; let the next scheduled time begin a new run", w.run.Dataset)
			case c.Rows > 0:
				return nil
			}
		}
	}
	var faults []string
	for i, p := range w.redact.paths {
		if p.rare || w.redact.hits[i] > 0 {
			continue
		}
		known, err := w.metBefore(ctx, p)
		if err != nil {
			return err
		}
		if !known {
			faults = append(faults, w.redact.fault(p, w.run.Dataset))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	w.redact.refusal = fmt.Errorf("redaction of %s: among the first %d records %s. Nothing was stored, because what the path was to keep back would have been. Write %s",
		w.run.Dataset, w.part.point.Rows, strings.Join(faults, "; and "), FieldsSyntax)
	return w.redact.refusal
}

// metBefore reports whether a few records may be believed although they lack a
// path: a published run has met it.
func (w *writer) metBefore(ctx context.Context, p redactPath) (bool, error) {
	if w.part.point.Rows >= judgedAlone {
		return false, nil
	}
	before, err := w.newest(ctx)
	return matchedBefore(before, w.origin(), p.recorded()) != "", err
}

// maxMet bounds the names that are remembered of one place in the records: some
// providers' objects have names that people chose.
const maxMet = 300

// meet remembers the name of a member.
func (n *redactNode) meet(raw []byte) {
	if n.met == nil {
		n.met = map[string]bool{}
	}
	if !n.met[string(raw)] && len(n.met) < maxMet {
		n.met[string(raw)] = true
	}
}

// fault says that a path was not met, and what was met in its place.
func (r *redactor) fault(p redactPath, d Dataset) string {
	n, names := r.root, strings.Split(p.path, ".")
	depth := 0
	for ; depth < len(names)-1; depth++ {
		child := n.child([]byte(names[depth]))
		if child == nil || child.met == nil {
			break
		}
		n = child
	}
	done := map[bool]string{false: "dropped", true: "hashed"}[p.hash]
	said := fmt.Sprintf("none has %s, which is to be %s", clip(p.path), done)
	if at := strings.Join(names[:depth], "."); at != "" {
		said += fmt.Sprintf(" (in %s", clip(at))
	} else {
		said += " (a record"
	}
	return said + " has " + n.seen(names[depth], d.documented()) + ")"
}

// seen names the documented fields that were met at a place, only those that are
// spelled like name if there are any, else those that look like it, and counts
// the others: what is not documented may be anybody's.
func (n *redactNode) seen(name string, documented map[string]bool) string {
	var same, alike, known []string
	for met := range n.met {
		raw, ok := jsonscan.Unquote([]byte(met))
		field := string(raw)
		if !ok || !documented[field] {
			continue
		}
		known = append(known, field)
		switch {
		case bare(field) == bare(name):
			same = append(same, field)
		case looksLike(field, name):
			alike = append(alike, field)
		}
	}
	for _, list := range [][]string{same, alike} {
		if len(list) > 0 {
			slices.Sort(list)
			return "what looks like it: " + strings.Join(list, ", ")
		}
	}
	slices.Sort(known)
	const shown = 12
	said := strings.Join(known[:min(len(known), shown)], ", ")
	others := len(n.met) - min(len(known), shown)
	fields := "fields"
	if others == 1 {
		fields = "field"
	}
	switch {
	case said == "":
		return fmt.Sprintf("%d %s not named in the provider's documents", others, fields)
	case others > 0:
		return fmt.Sprintf("%s and %d other %s", said, others, fields)
	}
	return said
}

// looksLike reports whether two names may be meant to be the same: one the
// beginning or the end of the other, or two letters apart, signs and case not
// counted.
func looksLike(a, b string) bool {
	short, long := bare(a), bare(b)
	if len(short) > len(long) {
		short, long = long, short
	}
	return len(short) >= 4 && (strings.HasPrefix(long, short) || strings.HasSuffix(long, short) || spelling.Distance(short, long) <= 2)
}

// bare leaves the letters and digits of a name.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r > '~':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, name)
}
