package sandbox

// An origin is what a sandbox began with.
type origin struct {
	begun   begun
	journal *Journal
}

// begun is an origin as it is kept.
type begun struct {
	Seed    uint64 `json:"seed"`
	Records int    `json:"records"` // that were invented
}

func newOrigin(o Options, j *Journal) *origin {
	made := &origin{begun: begun{Seed: o.Seed, Records: o.Count()}, journal: j}
	found := false
	Each(j.Section("origin"), func(_ string, kept begun) { made.begun, found = kept, true })
	if !found {
		made.keep()
	}
	return made
}

func (o *origin) keep() { o.journal.Section("origin").Put("made", o.begun) }

// Origin returns the seed of the invented records, and how many of each dataset there
// were: those of Options, unless Options.Keeper knew better.
func (o *origin) Origin() (seed uint64, records int) { return o.begun.Seed, o.begun.Records }

// Disown notes that no record is an invented one any longer: all were replaced.
func (o *origin) Disown() {
	o.begun.Records = 0
	o.keep()
}
