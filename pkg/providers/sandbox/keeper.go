package sandbox

// A Keeper keeps what a sandbox, or the local AWS, must still know after its process
// was killed. It is safe for concurrent use.
type Keeper interface {
	// Commit keeps all the changes or none of them, and returns once they outlive the
	// process.
	Commit(changes ...Change) error
	// Load calls f with everything that a section holds, in the order of the keys.
	Load(section string, f func(key string, value []byte) error) error
}

// A Change is one of what a [Keeper] keeps.
type Change struct {
	Section, Key string
	Value        []byte // nil: the key is deleted
}
