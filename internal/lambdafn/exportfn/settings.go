package exportfn

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
)

// Settings are the function's settings.
type Settings struct {
	lambdafn.Common

	TimeZone    string        `env:"HIKYAKU_TIME_ZONE" envDefault:"UTC"`           // IANA; whose days dt counts
	Datasets    []string      `env:"HIKYAKU_EXPORT_DATASETS"`                      // such as shopline/orders; empty: all
	Compression string        `env:"HIKYAKU_EXPORT_COMPRESSION" envDefault:"gzip"` // gzip or none
	PartMiB     int64         `env:"HIKYAKU_EXPORT_PART_MIB" envDefault:"64"`      // of a part, uncompressed
	RecordMiB   int           `env:"HIKYAKU_EXPORT_RECORD_MIB" envDefault:"8"`     // a larger record is rejected; at most BODY_MIB
	BodyMiB     int64         `env:"HIKYAKU_EXPORT_BODY_MIB" envDefault:"8"`       // of a page, raw and unpacked; a larger one is asked for in smaller pages
	SpoolMiB    int64         `env:"HIKYAKU_EXPORT_SPOOL_MIB" envDefault:"256"`    // of a list that comes in one answer, in the temporary folder
	PageSize    int           `env:"HIKYAKU_EXPORT_PAGE_SIZE" envDefault:"0"`      // rows asked for at once; 0: the provider's default or quirk
	InFlight    int           `env:"HIKYAKU_EXPORT_IN_FLIGHT" envDefault:"2"`      // pages on their way at once
	LookBack    time.Duration `env:"HIKYAKU_EXPORT_LOOK_BACK" envDefault:"1h"`     // by which a window reaches into the one before
	StopAhead   time.Duration `env:"HIKYAKU_EXPORT_STOP_AHEAD" envDefault:"20s"`   // before the function's deadline
	MaxShrink   int           `env:"HIKYAKU_EXPORT_MAX_SHRINK" envDefault:"50"`    // percent by which a snapshot may be smaller than the one before; more is doubt
	MaxRejects  int           `env:"HIKYAKU_EXPORT_MAX_REJECTS" envDefault:"5"`    // percent of a run's records that may be rejected; more is doubt
	Drop        string        `env:"HIKYAKU_EXPORT_DROP"`                          // fields to leave out: "shopline/customers:email,phones; yappli/users:login_id"; a path that is rare by nature ends in "?"
	Hash        string        `env:"HIKYAKU_EXPORT_HASH"`                          // fields to replace by a keyed hash, in the same form

	Appointments string   `env:"HIKYAKU_EXPORT_APPOINTMENTS" envDefault:"range"` // range: snapshots by when they take place; changes: what was changed
	DaysBack     int      `env:"HIKYAKU_EXPORT_DAYS_BACK" envDefault:"3650"`     // of appointments, before the scheduled time
	DaysAhead    int      `env:"HIKYAKU_EXPORT_DAYS_AHEAD" envDefault:"3650"`    // and after it
	Schedules    []string `env:"HIKYAKU_SUPERSAAS_SCHEDULES"`                    // ids; "id:slots" for a capacity schedule; empty: all that the account lists

	YappliRate     float64 `env:"HIKYAKU_YAPPLI_RATE" envDefault:"2"`          // requests per second of the account
	YappliShare    float64 `env:"HIKYAKU_YAPPLI_SHARE" envDefault:"0.25"`      // this function's part of them, all datasets together
	SuperSaaSRate  float64 `env:"HIKYAKU_SUPERSAAS_RATE" envDefault:"4"`       // requests per second of the account
	SuperSaaSShare float64 `env:"HIKYAKU_SUPERSAAS_SHARE" envDefault:"0.25"`   // this function's part of them
	SHOPLINERate   float64 `env:"HIKYAKU_SHOPLINE_RATE" envDefault:"3"`        // requests per second of the shop
	SHOPLINEShare  float64 `env:"HIKYAKU_SHOPLINE_SHARE" envDefault:"0.9"`     // this function's part of them
	AssistRate     float64 `env:"HIKYAKU_ASSISTTENCHO_RATE" envDefault:"1"`    // requests per second of the shop
	AssistShare    float64 `env:"HIKYAKU_ASSISTTENCHO_SHARE" envDefault:"0.9"` // this function's part of them
}

const (
	byRange   = "range"
	byChanges = "changes"
	useGzip   = "gzip"
	useNone   = "none"
	day       = 24 * time.Hour
)

// Validate returns every fault of the settings.
func (s Settings) Validate() []error {
	faults := s.Common.Validate()
	need := func(ok bool, name, what string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %s", name, what))
		}
	}
	if _, err := export.LoadZone(s.TimeZone); err != nil {
		faults = append(faults, fmt.Errorf("HIKYAKU_TIME_ZONE: %w", err))
	}
	for _, name := range s.Datasets {
		if !known(name) {
			faults = append(faults, fmt.Errorf("HIKYAKU_EXPORT_DATASETS: %w", unknown(name)))
		}
	}
	need(s.Compression == useGzip || s.Compression == useNone, "HIKYAKU_EXPORT_COMPRESSION", "must be gzip or none")
	need(s.PartMiB >= 1 && s.PartMiB <= 64, "HIKYAKU_EXPORT_PART_MIB", "must be from 1 to 64")
	need(s.BodyMiB >= 1 && s.BodyMiB <= 1024, "HIKYAKU_EXPORT_BODY_MIB", "must be from 1 to 1024")
	need(s.RecordMiB >= 1 && int64(s.RecordMiB) <= min(s.BodyMiB, 64), "HIKYAKU_EXPORT_RECORD_MIB", "must be from 1 to 64, and at most HIKYAKU_EXPORT_BODY_MIB: a record cannot be larger than the answer that holds it")
	need(s.SpoolMiB >= 1 && s.SpoolMiB <= 8192, "HIKYAKU_EXPORT_SPOOL_MIB", "must be from 1 to 8192, and less than the function's temporary folder holds")
	need(s.PageSize >= 0 && s.PageSize <= supersaas.MaxLimit, "HIKYAKU_EXPORT_PAGE_SIZE", "must be from 0 to 1000")
	need(s.InFlight >= 1 && s.InFlight <= 64, "HIKYAKU_EXPORT_IN_FLIGHT", "must be from 1 to 64")
	need(s.MaxShrink >= 1 && s.MaxShrink <= 100, "HIKYAKU_EXPORT_MAX_SHRINK", "must be from 1 to 100, a number of percent")
	need(s.MaxRejects >= 1 && s.MaxRejects <= 100, "HIKYAKU_EXPORT_MAX_REJECTS", "must be from 1 to 100, a number of percent")
	need(s.LookBack >= 0, "HIKYAKU_EXPORT_LOOK_BACK", "must not be negative")
	need(s.StopAhead > 0, "HIKYAKU_EXPORT_STOP_AHEAD", "must be above 0, such as 20s")
	need(s.Appointments == byRange || s.Appointments == byChanges, "HIKYAKU_EXPORT_APPOINTMENTS", "must be range or changes")
	need(s.DaysBack >= 1 && s.DaysBack <= 36500, "HIKYAKU_EXPORT_DAYS_BACK", "must be from 1 to 36500")
	need(s.DaysAhead >= 0 && s.DaysAhead <= 36500, "HIKYAKU_EXPORT_DAYS_AHEAD", "must be from 0 to 36500")
	if _, err := export.ParseSchedules(s.Schedules); err != nil {
		faults = append(faults, fmt.Errorf("HIKYAKU_SUPERSAAS_SCHEDULES: %w", err))
	}
	for provider, r := range s.rates() {
		name := "HIKYAKU_" + strings.ToUpper(provider)
		need(r.rate > 0, name+"_RATE", "must be above 0")
		need(r.share > 0 && r.share <= 1, name+"_SHARE", "must be above 0 and at most 1")
	}
	_, fieldFaults := s.fields()
	slices.SortFunc(fieldFaults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return append(faults, fieldFaults...)
}

// rate is how fast one account may be asked, and the function's share of it.
type rate struct{ rate, share float64 }

func (s Settings) rates() map[string]rate {
	return map[string]rate{
		providers.Yappli:       {s.YappliRate, s.YappliShare},
		providers.SuperSaaS:    {s.SuperSaaSRate, s.SuperSaaSShare},
		providers.SHOPLINE:     {s.SHOPLINERate, s.SHOPLINEShare},
		providers.AssistTencho: {s.AssistRate, s.AssistShare},
	}
}

// datasets returns the enabled datasets with their settings.
func (s Settings) datasets() []export.Dataset {
	var enabled []export.Dataset
	for _, d := range export.Datasets() {
		if len(s.Datasets) > 0 && !slices.Contains(s.Datasets, d.String()) {
			continue
		}
		if d.Provider == providers.SuperSaaS && d.Ranged {
			d.Past, d.Future = time.Duration(s.DaysBack)*day, time.Duration(s.DaysAhead)*day
			d.Incremental = s.Appointments == byChanges
		}
		enabled = append(enabled, d)
	}
	return enabled
}
