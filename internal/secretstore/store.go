// Package secretstore is the seam to AWS Secrets Manager: versioned secrets
// with stages and a true compare-and-swap, free of AWS. Memory is its fake for
// tests and for the local AWS; package smstore implements it on the service;
// package secretstoretest is the suite that both, and any endpoint, must pass.
//
// A secret has immutable versions. A stage (AWSCURRENT, AWSPENDING, or a label
// of ours) stands on at most one version of a secret. A version that no stage
// points to is deprecated and may vanish.
package secretstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"hikyaku/pkg/providers"
)

// The service's own stages.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
)

// Errors of a Store. Anything else is an outage: the outcome of a write is
// then unknown, and may be repeated with the same version id.
var (
	// ErrNotFound: no such secret, version or stage, or no value in it yet.
	ErrNotFound = errors.New("secret not found")
	// ErrExists: a secret, or a version of the same id with another value,
	// exists already.
	ErrExists = errors.New("secret exists already")
	// ErrConflict: the stage is no longer on the version that the caller read.
	ErrConflict = errors.New("secret changed meanwhile")
	// ErrLimit: the secret has too many versions for now.
	ErrLimit = errors.New("secret has too many versions: wait until old ones are removed")
	// ErrThrottled: try again later.
	ErrThrottled = errors.New("secret store throttled")
	// ErrInvalid: the request breaks a rule of the service, or the secret is
	// marked for deletion. Repeating it is useless.
	ErrInvalid = errors.New("secret request refused: check its name, value and state")
	// ErrDenied: the role lacks a permission.
	ErrDenied = errors.New("secret access denied: check the function's role and the secret's key")
)

// A Version is one immutable value of a secret.
type Version struct {
	ID      string
	Stages  []string // sorted
	Created time.Time
}

// Has reports whether stage is on the version.
func (v Version) Has(stage string) bool {
	return slices.Contains(v.Stages, stage)
}

// A Value is a version with what it holds. Data is secret: hand it to a
// Parse function of package providers, never to a log.
type Value struct {
	providers.Opaque // Data is a secret

	Version

	Data []byte
}

// A Description lists a secret's versions without their values.
type Description struct {
	Versions []Version // all that have a stage, in no order, without Created
	Rotating bool      // Secrets Manager rotation is enabled for it
}

// Holder returns the version that a stage stands on.
func (d Description) Holder(stage string) (Version, bool) {
	for _, v := range d.Versions {
		if v.Has(stage) {
			return v, true
		}
	}
	return Version{}, false
}

// A Store keeps secrets.
//
// Implementations are safe for concurrent use, make each call once without
// hiding retries of writes behind it, and honor ctx. A write that returned nil
// is visible to reads by version id at once; reads by stage may lag on the
// real service.
type Store interface {
	// Get reads the version under a stage. ErrNotFound also if the version
	// has no value yet.
	Get(ctx context.Context, name, stage string) (Value, error)
	// GetVersion reads a version by id.
	GetVersion(ctx context.Context, name, id string) (Value, error)
	// Describe lists the versions of a secret.
	Describe(ctx context.Context, name string) (Description, error)
	// Create makes a secret with its first version, which is current.
	// ErrExists if there is one of that name; repeating it with equal id and
	// data is a success.
	Create(ctx context.Context, name, id string, data []byte) error
	// Put adds a version under the given stages, taking them from other
	// versions. Without stages the service would move Current, so at least
	// one is required. A repeated id with equal data is a success, with
	// other data ErrExists.
	Put(ctx context.Context, name, id string, data []byte, stages ...string) error
	// Promote moves a stage to version to, only if it is on version from
	// now: the compare-and-swap. An empty from means the stage is on none;
	// an empty to takes it away. ErrConflict if it is elsewhere. Moving
	// Current leaves Previous on the version that loses it.
	Promote(ctx context.Context, name, stage, to, from string) error
}
