package awslocal

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
)

type rotateInput struct {
	secretID

	ClientRequestToken string
	RotationLambdaARN  string
	RotateImmediately  *bool
}

// rotate puts AWSPENDING on an empty version and invokes the rotation
// function's four steps in the background, as the service does. With
// RotateImmediately=false only testSecret is invoked, and the empty version
// taken back afterwards. There is no schedule: a rotation begins when it is
// asked for, and RotationRules are refused like every unknown parameter.
func (s *secretsManager) rotate(r *http.Request, in rotateInput) (versionRef, error) {
	name, id := in.name(), cmp.Or(in.ClientRequestToken, uuid.NewString())
	if in.RotationLambdaARN != "" {
		if _, err := s.functions.find(in.RotationLambdaARN); err != nil {
			return versionRef{}, refuse("InvalidRequestException", "The rotation function does not exist or Secrets Manager may not invoke it.")
		}
	}
	started, err := s.fake.Rotate(r.Context(), name, id, in.RotationLambdaARN)
	if err != nil {
		return versionRef{}, err
	}
	found, err := s.entry(name)
	if err != nil {
		return versionRef{}, err
	}
	function := found.Rotation.Function
	switch {
	case !started:
	case in.RotateImmediately != nil && !*in.RotateImmediately:
		s.functions.jobs.begin(func(ctx context.Context) {
			s.runSteps(ctx, function, name, id, "testSecret")
			if err := s.fake.Promote(ctx, name, secretstore.Pending, "", id); err != nil {
				s.functions.log.WarnContext(ctx, "taking the tested version back failed", "secret", name, "err", err)
			}
		})
	default:
		s.functions.jobs.begin(func(ctx context.Context) {
			if s.runSteps(ctx, function, name, id, "createSecret", "setSecret", "testSecret", "finishSecret") {
				_ = s.change(name, func(note *secretNote) error { note.rotated = s.now(); return nil }) // unless it is deleted by now
			}
		})
	}
	return refTo(name, id), nil
}

// runSteps invokes steps in their order, until one fails, and reports whether
// none did.
func (s *secretsManager) runSteps(ctx context.Context, function, name, id string, steps ...string) bool {
	token := uuid.NewString()
	for _, step := range steps {
		event, err := json.Marshal(map[string]string{
			"Step": step, "SecretId": secretFullARN(name), "ClientRequestToken": id, "RotationToken": token,
		})
		var answer Result
		if err == nil {
			answer, err = s.functions.counted(ctx, function, event)
		}
		if err != nil || answer.Error != "" {
			s.functions.log.WarnContext(ctx, "rotation step failed", "secret", name, "step", step, "function", function)
			return false
		}
	}
	return true
}

func (s *secretsManager) cancelRotation(r *http.Request, in secretID) (versionRef, error) {
	return refTo(in.name(), ""), s.fake.Cancel(r.Context(), in.name())
}
