package export

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// A Status is how far a call has brought its run.
type Status string

// The statuses.
const (
	Planned  Status = "planned"  // answer to Plan: the run is not done
	Continue Status = "continue" // stopped safely before the deadline: call again
	Busy     Status = "busy"     // somebody else works on the run, or Cause: call again after Until
	Done     Status = "done"     // published, nothing is left to do
	Doubtful Status = "doubt"    // in doubt: nothing is published, nothing is left to do
)

// An Answer reports on a run.
type Answer struct {
	Status   Status           `json:"status"`
	State    State            `json:"state,omitempty"`
	Dataset  string           `json:"dataset"`
	Run      string           `json:"run"`
	DT       string           `json:"dt"`
	Manifest string           `json:"manifest,omitempty"` // key; once published
	Doubt    string           `json:"doubt,omitempty"`    // key of what stands in the manifest's place; once in doubt
	Doubts   []Doubt          `json:"doubts,omitempty"`   // of an accepted run too
	Until    *time.Time       `json:"until,omitempty"`    // Busy: when the holder's lease ends at the latest, or the wait
	Cause    string           `json:"cause,omitempty"`    // Busy: what is waited for, if it is no other holder
	Window   *Window          `json:"window,omitempty"`
	Parts    int              `json:"parts"`
	Rows     int              `json:"rows"`
	Rejects  int              `json:"rejects"`
	Drift    pagination.Drift `json:"drift"`
	// TotalWrong is how many counts of the provider stayed wrong.
	TotalWrong int      `json:"total_wrong,omitempty"`
	Observed   Observed `json:"observed"` // by this call alone
}

// Settings are how an Exporter works. Zero numbers mean the defaults.
type Settings struct {
	Prefix    string // leads all keys; may be empty
	Bucket    string // stands in symlink.txt, which is not written without; the store knows its own
	Zone      *time.Location
	Gzip      bool
	PartBytes int64         // of a part, uncompressed; 0: 64 MiB, which is also the most
	InFlight  int           // pages on their way; 0: 2
	Spool     int           // bytes of a stored part kept in memory; 0: 8 MiB
	SpoolDir  string        // for the rest; empty: the system's
	MaxRecord int           // bytes; a larger one is rejected; 0: 8 MiB
	MaxBody   int64         // bytes of an unpacked answer; 0: 8 MiB
	LookBack  time.Duration // by which an incremental window reaches into the one before
	// MaxShrink is by how many percent a snapshot may be smaller than the
	// one it is compared with; 0: 50. MaxRejects is how many percent of a
	// run's records may be rejected; 0: 5. Beyond them the run is in doubt.
	MaxShrink  int
	MaxRejects int
	LeaseTTL   time.Duration // 0: 3 minutes
	StopAhead  time.Duration // before the deadline; 0: 20 s
	// Fields are dropped and hashed by dataset name.
	Fields map[string]Fields
}

// The defaults of Settings.
const (
	MaxPartBytes     = 64 << 20
	defaultInFlight  = 2
	defaultSpool     = 8 << 20
	defaultMaxRecord = 8 << 20
	defaultMaxBody   = 8 << 20
	defaultLeaseTTL  = 3 * time.Minute
	defaultStopAhead = 20 * time.Second
	defaultShrink    = 50
	defaultRejects   = 5
	// writeTime bounds one write. The lease is extended before a write for
	// which less than this is left.
	writeTime = 45 * time.Second
)

func withDefaults(s Settings) Settings {
	s.PartBytes = cmp.Or(min(s.PartBytes, MaxPartBytes), MaxPartBytes)
	s.InFlight = cmp.Or(s.InFlight, defaultInFlight)
	s.Spool = cmp.Or(s.Spool, defaultSpool)
	s.MaxRecord = cmp.Or(s.MaxRecord, defaultMaxRecord)
	s.MaxBody = cmp.Or(s.MaxBody, defaultMaxBody)
	s.MaxShrink = cmp.Or(s.MaxShrink, defaultShrink)
	s.MaxRejects = cmp.Or(s.MaxRejects, defaultRejects)
	s.LeaseTTL = cmp.Or(s.LeaseTTL, defaultLeaseTTL)
	s.StopAhead = cmp.Or(s.StopAhead, defaultStopAhead)
	s.Zone = cmp.Or(s.Zone, time.UTC)
	return s
}

// Seams are what an Exporter reaches the world through.
type Seams struct {
	Store objectstore.Store
	// Open returns the feed of a dataset. passes are the names of those that
	// the run has been planned with, and shape is the generation of answers
	// that it has met; nil and empty: the feed decides.
	Open func(ctx context.Context, d Dataset, passes []string, shape string) (Feed, error)
	// HashKey returns the key of hashed fields; it is called only if there
	// are some.
	HashKey func(ctx context.Context) ([]byte, error)
	Now     func() time.Time
	NewID   func() string // a unique name for the holder of a lease
	// Sleep waits for d, or returns the error of ctx if that ends first; nil: a
	// timer does.
	Sleep func(ctx context.Context, d time.Duration) error

	progress func(Progress)
}

// Progress is how far one call has come, counted from its own beginning.
type Progress struct {
	Rows    int
	Bytes   int64 // of the rows, uncompressed
	Parts   int   // that are stored, by earlier calls too
	Pages   int   // whose rows have been taken
	Traffic Traffic
}

// An Exporter brings runs to their end, one call after another. It is safe
// for concurrent use; calls for the same run exclude each other by a lease.
type Exporter struct {
	set   Settings
	seams Seams
}

// New returns an exporter. All seams are required but HashKey, which only
// hashed fields need.
func New(s Settings, seams Seams) *Exporter {
	if seams.Sleep == nil {
		seams.Sleep = sleep
	}
	return &Exporter{set: withDefaults(s), seams: seams}
}

// Telling returns an exporter that tells f after each page how far its call has
// come. f must return quickly.
func (e *Exporter) Telling(f func(Progress)) *Exporter {
	told := *e
	told.seams.progress = f
	return &told
}

// NewRun names the run of a trigger in the exporter's time zone.
func (e *Exporter) NewRun(t Trigger) (Run, error) { return NewRun(t, e.set.Zone) }

func (e *Exporter) keys(d Dataset) keys {
	if e.set.Prefix == "" {
		return keys{"", d.String()}
	}
	return keys{e.set.Prefix + "/", d.String()}
}

// plan is what a run has settled at its start, for all its calls.
type plan struct {
	Version  int       `json:"version"` // of the way in which places are noted
	Window   Window    `json:"window"`
	Passes   []string  `json:"passes"`
	Settings string    `json:"settings"` // those that the files depend on
	Started  time.Time `json:"started"`
	Shape    string    `json:"shape,omitempty"` // generation of the answers, once known
	Owed     []Owed    `json:"owed,omitempty"`  // windows that earlier runs have left
}

// planVersion is raised when positions in journals and checkpoints change their
// meaning: a run that was begun before is then refused.
const planVersion = 2

// extracted says that all rows of a run are stored, and what is known of them that
// no checkpoint says.
type extracted struct {
	Parts   int              `json:"parts"`
	Drift   pagination.Drift `json:"drift"`
	Source  Origin           `json:"source"`
	Repeats int              `json:"repeats,omitempty"` // after the last part
	// Doubts, few of them: with any the run does not publish.
	Doubts []Doubt      `json:"doubts,omitempty"`
	Looks  int          `json:"looks,omitempty"`
	Total  []WrongTotal `json:"total,omitempty"`
	Owed   []Owed       `json:"owed,omitempty"`
}

// resume is the position at which a call stopped that had nothing to store.
type resume struct {
	Parts int                 `json:"parts"` // stored then; if there are more now, it is outdated
	Place pagination.Position `json:"place"`
	Drift pagination.Drift    `json:"drift"`
	// Repeats were left out since the last part.
	Repeats int `json:"repeats,omitempty"`
}

// calls is how the calls of a run have begun and ended so far.
type calls struct {
	// Working: a holder has begun and has not released the lease. From is the
	// position at which it began.
	Working bool   `json:"working,omitempty"`
	From    string `json:"from,omitempty"`
	// Killed: a holder died where it had begun, and none has ended by itself since.
	Killed bool `json:"killed,omitempty"`
	// Stuck: so did one that would have stored early.
	Stuck bool `json:"stuck,omitempty"`
	// Fruitless counts the calls in a row that ended where they began.
	Fruitless int `json:"fruitless,omitempty"`
}

// journal is what the lease of a run carries from holder to holder.
type journal struct {
	calls

	Plan      *plan      `json:"plan,omitempty"`
	Resume    *resume    `json:"resume,omitempty"`
	Extracted *extracted `json:"extracted,omitempty"`
	Done      *Answer    `json:"done,omitempty"`
	Observed  Observed   `json:"observed"`

	// Open are ends of lists that are to be asked for again.
	Open     []question    `json:"open,omitempty"`
	Reopened int           `json:"reopened,omitempty"` // how often a list went on after all
	Reviewed bool          `json:"reviewed,omitempty"` // the run was in doubt as a whole, so that all passes are looked at once more
	Doubts   []Doubt       `json:"doubts,omitempty"`
	Total    []WrongTotal  `json:"total,omitempty"`
	Owed     []Owed        `json:"owed,omitempty"`
	Waited   time.Duration `json:"waited,omitempty"` // for the provider
}

// ended returns the last answer of a run that has ended; nil: it has not.
func (j journal) ended() *Answer {
	if j.Done != nil && j.Done.State == "" {
		j.Done.State = NotRecorded
	}
	return j.Done
}

// job is one call's work on one run.
type job struct {
	*Exporter

	run            Run
	keys           keys
	lease          *lease.Lease
	journal        journal
	began          time.Time // of this call, or when it was last observed
	traffic        Traffic   // of this call, counted so far
	counted        Observed
	newestManifest *Manifest // of the newest published run, once read
	newestRead     bool
	// unfinished: the holder before died without releasing the lease.
	unfinished bool
}

// begin reads the run's lease and, unless the journal says that the run has ended,
// takes it by a swap from that reading. If the answer is not nil, it is the call's.
func (e *Exporter) begin(ctx context.Context, r Run) (*job, *Answer, error) {
	j := &job{Exporter: e, run: r, keys: e.keys(r.Dataset), began: e.seams.Now()}
	seen, err := lease.Read(ctx, e.seams.Store, j.keys.lease(r))
	if err != nil {
		return nil, nil, err
	}
	if err := j.read(seen.Journal); err != nil {
		return nil, nil, err
	}
	if done := j.journal.ended(); done != nil {
		return nil, done, nil
	}
	j.lease, err = seen.Acquire(ctx, e.seams.NewID(), e.set.LeaseTTL, e.seams.Now)
	if held, ok := errors.AsType[*lease.HeldError](err); ok {
		answer := j.busy(held.Until)
		return nil, &answer, nil
	}
	if err != nil {
		return nil, nil, err
	}
	j.unfinished, j.journal.Working = j.journal.Working, true
	j.journal.Observed.Invocations++
	j.counted.Invocations = 1
	return j, nil, nil
}

func (j *job) read(raw json.RawMessage) error {
	j.journal = journal{}
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, &j.journal); err != nil {
		return fmt.Errorf("reading %s: the journal has another shape; move the object away to begin the run again", j.keys.lease(j.run))
	}
	return nil
}

// keep writes the journal and extends the lease.
func (j *job) keep(ctx context.Context) error {
	raw, err := json.Marshal(j.journal)
	if err != nil {
		return err
	}
	return j.lease.Keep(ctx, j.set.LeaseTTL, raw)
}

// guard returns a context for one write. It ends before the lease does, but not
// when ctx ends: a write is short, and what it stores is worth keeping.
func (j *job) guard(ctx context.Context) (context.Context, context.CancelFunc, error) {
	ctx = context.WithoutCancel(ctx)
	if j.lease.Until.Sub(j.seams.Now()) < writeTime {
		if err := j.keep(ctx); err != nil {
			return nil, nil, err
		}
	}
	left := min(writeTime, j.lease.Until.Sub(j.seams.Now()))
	ctx, cancel := context.WithTimeout(ctx, left)
	return ctx, cancel, nil
}

// end releases the lease with its journal, also when ctx has ended.
func (j *job) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	defer cancel()
	j.journal.Working, j.journal.Killed, j.journal.Stuck = false, false, false
	raw, err := json.Marshal(j.journal)
	if err != nil {
		return err
	}
	return j.lease.Release(ctx, raw)
}

func (j *job) answer(s Status) Answer {
	a := Answer{Status: s, Dataset: j.run.Dataset.String(), Run: j.run.ID, DT: j.run.DT, Observed: j.counted}
	if j.journal.Plan != nil {
		a.Window = &j.journal.Plan.Window
	}
	return a
}

// busy answers that another holder works on the run.
func (j *job) busy(until time.Time) Answer {
	a := j.answer(Busy)
	until = until.UTC()
	a.Until = &until
	return a
}

// waiting turns an answer into one that asks to be called again later.
func waiting(a Answer, wait *pause) Answer {
	if wait != nil {
		a.Status, a.Until, a.Cause = Busy, &wait.until, wait.cause
	}
	return a
}

// fingerprint is the text of all settings that a run's files depend on.
func (e *Exporter) fingerprint(d Dataset) string {
	f := e.set.Fields[d.String()]
	sorted := func(list []string) string { return strings.Join(slices.Sorted(slices.Values(list)), ",") }
	return fmt.Sprintf("gzip=%t part=%d record=%d body=%d drop=%s hash=%s", e.set.Gzip, e.set.PartBytes, e.set.MaxRecord, e.set.MaxBody, sorted(f.Drop), sorted(f.Hash))
}

// Plan answers what the run is and how far it has come, without taking the lease
// and without asking the provider.
func (e *Exporter) Plan(ctx context.Context, r Run) (Answer, error) {
	j := &job{Exporter: e, run: r, keys: e.keys(r.Dataset)}
	known, err := lease.Peek(ctx, e.seams.Store, j.keys.lease(r))
	if err != nil {
		return Answer{}, err
	}
	if err := j.read(known); err != nil {
		return Answer{}, err
	}
	if done := j.journal.ended(); done != nil {
		return *done, nil
	}
	if j.journal.Plan == nil {
		window, err := e.window(ctx, r)
		if err != nil {
			return Answer{}, err
		}
		j.journal.Plan = &plan{Window: window}
	}
	answer := j.answer(Planned)
	answer.State = Unfinished
	return answer, j.countStored(ctx, &answer)
}

// addPart counts a stored part.
func addPart(a *Answer, c checkpoint) {
	a.Parts++
	a.Rows += c.Rows
	a.Rejects += c.Rejects
	a.Drift = c.Drift
}

// Extract brings the run as far as ctx's deadline allows: it reads, stores
// and publishes. An error leaves all stored parts valid; the same call again
// goes on after them.
func (e *Exporter) Extract(ctx context.Context, r Run) (Answer, error) {
	return e.work(ctx, r, true)
}

// Publish publishes a run whose rows are all stored, without asking the provider.
// It answers Continue if they are not.
func (e *Exporter) Publish(ctx context.Context, r Run) (Answer, error) {
	return e.work(ctx, r, false)
}

func (e *Exporter) work(ctx context.Context, r Run, extract bool) (Answer, error) {
	j, final, err := e.begin(ctx, r)
	if err != nil {
		return Answer{}, fmt.Errorf("exporting %s run %s: %w", r.Dataset, r.ID, err)
	}
	if final != nil {
		return *final, nil
	}
	answer, err := j.advance(ctx, extract)
	switch {
	case errors.Is(err, lease.ErrLost):
		return j.busy(e.seams.Now().Add(e.set.LeaseTTL)), nil
	case err == nil && (answer.Status == Done || answer.Status == Doubtful): // released with the answer
		return answer, nil
	}
	if endErr := j.end(ctx); err == nil && endErr != nil && !errors.Is(endErr, lease.ErrLost) {
		err = endErr
	}
	if err != nil {
		return Answer{}, fmt.Errorf("exporting %s run %s: %w", r.Dataset, r.ID, err)
	}
	return answer, nil
}

func (j *job) advance(ctx context.Context, extract bool) (Answer, error) {
	if j.journal.Extracted == nil {
		if !extract {
			return j.answer(Continue), nil
		}
		stopped, wait, err := j.extract(ctx)
		if err != nil || stopped || wait != nil {
			return waiting(j.progress(ctx), wait), err
		}
	}
	if over(ctx) { // the next call publishes
		return j.progress(ctx), nil
	}
	return j.publish(ctx)
}

// over reports whether the time of a call has run out.
func over(ctx context.Context) bool { return ctx.Err() != nil }

// progress answers Continue, and what is stored so far.
func (j *job) progress(ctx context.Context) Answer {
	answer := j.answer(Continue)
	if _, points, err := j.stored(context.WithoutCancel(ctx)); err == nil {
		for _, c := range points {
			addPart(&answer, c)
		}
	}
	return answer
}
