package awslocal

import (
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/secretstore"
)

// secretNotes is what the service knows of secrets beyond the fake.
type secretNotes struct {
	ledger *ledger

	mu     sync.Mutex
	byName map[string]*secretNote
}

// noteSection of the keeper holds them by the secret's name.
const noteSection = "aws.secret-notes"

type noteRecord struct {
	Created, Changed, Rotated time.Time

	Description *string `json:",omitempty"`
	Key         string  `json:",omitempty"`
	Tags        []tag   `json:",omitempty"`
	Binary      map[string]bool
}

// A secretNote is about one secret. A secret that is created again under an old
// name begins with an empty one.
type secretNote struct {
	created          time.Time // tells the secret from an earlier one of its name
	changed, rotated time.Time
	description      *string
	key              string // KMS key; empty: the service's own
	tags             []tag
	binary           map[string]bool // by version id: written as SecretBinary
}

// restore reads what an earlier process noted.
func (n *secretNotes) restore() error {
	return load(n.ledger.keeper, noteSection, func(name string, r noteRecord, _ []byte) error {
		if r.Binary == nil {
			r.Binary = map[string]bool{}
		}
		n.byName[name] = &secretNote{r.Created, r.Changed, r.Rotated, r.Description, r.Key, r.Tags, r.Binary}
		return nil
	})
}

// of returns the note about a secret. n.mu is held.
func (n *secretNotes) of(e secretstore.Entry) *secretNote {
	note := n.byName[e.Name]
	if note == nil || !note.created.Equal(e.Created) {
		note = &secretNote{created: e.Created, binary: map[string]bool{}}
		n.byName[e.Name] = note
	}
	return note
}

// change lets f change the note about a secret.
func (n *secretNotes) change(e secretstore.Entry, f func(*secretNote) error) error {
	_, err := settled(n.ledger, func() (nothing, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		note := n.of(e)
		err := f(note)
		n.ledger.note(record(noteSection, e.Name, noteRecord{
			note.created, note.changed, note.rotated, note.description, note.key, note.tags, note.binary,
		}, nil))
		return nothing{}, err
	})
	return err
}

// read returns the note about a secret as it is now.
func (n *secretNotes) read(e secretstore.Entry) secretNote {
	n.mu.Lock()
	defer n.mu.Unlock()
	note := *n.of(e)
	note.tags = slices.Clone(note.tags)
	return note
}

// forget drops the note about a secret that is gone.
func (n *secretNotes) forget(name string) error {
	_, err := settled(n.ledger, func() (nothing, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.byName, name)
		n.ledger.note(erasure(noteSection, name))
		return nothing{}, nil
	})
	return err
}

func (n *secretNotes) isBinary(e secretstore.Entry, version string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.of(e).binary[version]
}

const (
	maxSecretTags  = 50
	maxDescription = 2048 // characters
)

// addTags sets tags, each in the place of the one with its key.
func (n *secretNote) addTags(tags []tag) error {
	merged := slices.Clone(n.tags)
	for i, t := range tags {
		switch {
		case t.Key == "" || len([]rune(t.Key)) > maxTagName || len([]rune(t.Value)) > maxTagValue:
			return refuse("InvalidParameterException", "A tag has a key of 1 to %d characters and a value of at most %d.", maxTagName, maxTagValue)
		case strings.HasPrefix(t.Key, "aws:"):
			return refuse("InvalidParameterException", "The tag key %s begins with aws:, which is reserved.", t.Key)
		case slices.ContainsFunc(tags[:i], func(other tag) bool { return other.Key == t.Key }):
			return refuse("InvalidParameterException", "The tag key %s is in the request twice.", t.Key)
		}
		at := slices.IndexFunc(merged, func(other tag) bool { return other.Key == t.Key })
		if at < 0 {
			merged = append(merged, t)
		} else {
			merged[at] = t
		}
	}
	if len(merged) > maxSecretTags {
		return refuse("LimitExceededException", "A secret has at most %d tags.", maxSecretTags)
	}
	n.tags = merged
	return nil
}

// describe sets a description and a KMS key where the caller gave them.
func (n *secretNote) describe(description, key *string) error {
	if description != nil {
		if len([]rune(*description)) > maxDescription {
			return refuse("InvalidParameterException", "A description has at most %d characters.", maxDescription)
		}
		n.description = description
	}
	if key != nil {
		n.key = *key
		if strings.HasSuffix(*key, "alias/aws/secretsmanager") { // the service's own, which it does not show
			n.key = ""
		}
	}
	return nil
}
