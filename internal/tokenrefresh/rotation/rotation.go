// Package rotation is the opt-in second driver of a credential: Secrets Manager calls
// four steps in order and repeats any of them, so each is idempotent. The protocol is the
// schedule's, with the service's version id and pending label in place of ours.
package rotation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hikyaku/internal/tokenrefresh/execute"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// The steps of Secrets Manager's rotation.
const (
	CreateSecret = "createSecret"
	SetSecret    = "setSecret"
	TestSecret   = "testSecret"
	FinishSecret = "finishSecret"
)

var errNotDone = errors.New("not done")

// Step does one step. secret is a name under the prefix, version the id that the service
// chose. An error makes the service try again.
func Step(ctx context.Context, x *execute.Executor, prefix, secret, version, step string) error {
	rest, under := strings.CutPrefix(secret, prefix+"/")
	provider, part, cut := strings.Cut(rest, "/")
	if !under || !cut || !slices.Contains(providers.Names(), provider) {
		return fmt.Errorf("rotation of %s: not a token or refresh secret under the prefix %q", secret, prefix)
	}
	goal, known := map[string]protocol.Goal{
		CreateSecret: protocol.CreatePending, TestSecret: protocol.TestPending, FinishSecret: protocol.FinishRotation,
	}[step]
	switch {
	case step == SetSecret:
		return nil // the provider knows the token already: it made it
	case !known:
		return fmt.Errorf("rotation of %s: unknown step; expected createSecret, setSecret, testSecret or finishSecret", secret)
	}
	result, err := x.Run(ctx, protocol.Task{Provider: provider, Goal: goal, Part: protocol.Part(part), Version: version})
	switch {
	case result.Outcome == "":
		return fmt.Errorf("rotation of %s: %w", secret, err)
	case result.Status == protocol.OK, result.Outcome == protocol.Rotating:
		return err
	}
	return fmt.Errorf("rotation of %s, %s: %s: %w", secret, step, result.Reason, errors.Join(err, errNotDone))
}
