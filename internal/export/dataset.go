package export

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A Dataset is one kind of record of one provider. Those of Datasets are all
// there are; their settings may be changed in a copy.
type Dataset struct {
	Provider string
	Name     string
	// Incremental: a run covers what changed since the run before. Else a
	// run is a snapshot of all records.
	Incremental bool
	// Ranged: the provider can be asked for a range of time.
	Ranged bool
	// Past and Future bound a snapshot of a ranged dataset, around the
	// scheduled time. Past bounds the first incremental run; 0: all.
	Past, Future time.Duration
	// Unordered: the provider promises no order, so that every pass is read at
	// least twice.
	Unordered bool
	ID        []string // path of a record's id
	Created   []string // path of when a record was made; nil: not documented
	Passes    []Pass

	open func(ctx context.Context, d Dataset, feed Feed, a Account) (Feed, error)
}

const decade = 10 * 365 * 24 * time.Hour

// Datasets returns the six datasets, in the order in which they are shown.
func Datasets() []Dataset {
	id, created := []string{"id"}, []string{"created_at"}
	updated := []string{"updated_at"}
	return []Dataset{
		{
			Provider: providers.Yappli, Name: "users",
			ID: id, Created: created, open: openYappliUsers,
		},
		{
			Provider: providers.SuperSaaS, Name: "users", Unordered: true,
			ID: id, Created: []string{"created_on"}, open: openSuperSaaSUsers,
		},
		{
			Provider: providers.SuperSaaS, Name: "appointments", Unordered: true, Ranged: true, Past: decade, Future: decade,
			ID: id, Created: []string{"created_on"}, open: openAppointments,
		},
		{
			Provider: providers.SHOPLINE, Name: "customers", Incremental: true, Ranged: true,
			ID: id, Created: created, open: openSHOPLINE,
			Passes: []Pass{{Name: "updated", Time: updated}},
		},
		{
			Provider: providers.SHOPLINE, Name: "orders", Incremental: true, Ranged: true,
			ID: id, Created: created, open: openSHOPLINE,
			// A change of an order's delivery leaves its updated_at alone.
			Passes: []Pass{
				{Name: "updated", Time: updated},
				{Name: "shipped", Time: []string{"order_delivery", "shipped_at"}, WindowOnly: true},
				{Name: "arrived", Time: []string{"order_delivery", "arrived_at"}, WindowOnly: true},
				{Name: "collected", Time: []string{"order_delivery", "collected_at"}, WindowOnly: true},
				{Name: "returned", Time: []string{"order_delivery", "returned_at"}, WindowOnly: true},
			},
		},
		{
			Provider: providers.AssistTencho, Name: "orders",
			ID: []string{"serial_order_id"}, open: openAssistOrders,
		},
	}
}

// DatasetNames returns the names of Datasets, in their order.
func DatasetNames() []string {
	all := Datasets()
	names := make([]string, len(all))
	for i, d := range all {
		names[i] = d.String()
	}
	return names
}

// FindDataset returns the dataset of a name such as "shopline/orders".
func FindDataset(name string) (Dataset, error) {
	if i := slices.Index(DatasetNames(), name); i >= 0 {
		return Datasets()[i], nil
	}
	return Dataset{}, fmt.Errorf("%w: dataset %q is not one of %s", ErrTrigger, clip(name), strings.Join(DatasetNames(), ", "))
}

// clip shortens a text of the caller for an error.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// String returns "provider/name".
func (d Dataset) String() string { return d.Provider + "/" + d.Name }

// kind says in the manifest what a run of the dataset holds.
func (d Dataset) kind() string {
	if d.Incremental {
		return "incremental"
	}
	return "snapshot"
}

// needs reports whether the export reads the field under path.
func (d Dataset) needs(path string) bool {
	uses := func(used []string) bool {
		name := strings.Join(used, ".")
		return name == path || strings.HasPrefix(name, path+".")
	}
	return uses(d.ID) || slices.ContainsFunc(d.Passes, func(p Pass) bool { return uses(p.Time) })
}

// rowID returns the id by which a stored record is known.
func (d Dataset) rowID(record []byte) []byte {
	value, ok := jsonscan.Lookup(record, d.ID)
	if !ok {
		return pagination.RowID(nil, record)
	}
	id, _ := jsonscan.Text(value)
	return pagination.RowID(id, record)
}

// keys name the objects of a dataset. prefix ends with a slash, or is empty.
type keys struct{ prefix, dataset string }

func (k keys) folder(r Run) string {
	return fmt.Sprintf("%sexports/%s/dt=%s/run=%s/", k.prefix, k.dataset, r.DT, r.ID)
}

func (k keys) manifest(r Run) string { return k.folder(r) + manifestName }
func (k keys) doubt(r Run) string    { return k.folder(r) + doubtName }
func (k keys) latest() string        { return k.prefix + "exports/" + k.dataset + "/latest.json" }
func (k keys) watermark() string     { return k.prefix + "state/export/" + k.dataset + "/watermark.json" }

// leases is what the key of every run's lease begins with.
func (k keys) leases() string { return k.prefix + "state/export/" + k.dataset + "/run=" }

func (k keys) lease(r Run) string { return k.leases() + r.ID + leaseSuffix }

func (k keys) part(r Run, n int, extension string) string {
	return fmt.Sprintf("%spart-%05d.%s", k.folder(r), n, extension)
}

func (k keys) rejects(r Run, n int) string {
	return fmt.Sprintf("%srejects/%s/dt=%s/run=%s/part-%05d", k.prefix, k.dataset, r.DT, r.ID, n)
}

// known names the object with what is known of a part's rows; sum is of its bytes.
// It is needed as long as the run goes on, and a rule of the bucket ends it.
func (k keys) known(r Run, n int, sum string) string {
	return fmt.Sprintf("%sknown/%s/run=%s/part-%05d-%s", k.prefix, k.dataset, r.ID, n, sum)
}

func (k keys) symlink(r Run) string {
	return fmt.Sprintf("%sathena/%s/dt=%s/symlink.txt", k.prefix, k.dataset, r.DT)
}

const leaseSuffix = ".json"

// extension is how a part's name ends.
func extension(compressed bool) string {
	return "jsonl" + map[bool]string{true: ".gz"}[compressed]
}

// byTime orders runs by scheduled time, then by name.
func byTime(aTime time.Time, aRun string, bTime time.Time, bRun string) int {
	return cmp.Or(aTime.Compare(bTime), cmp.Compare(aRun, bRun))
}
