package awslocal

import (
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
	// RotationRules are taken and not acted on: a rotation begins when it is
	// asked for, never by a schedule.
	RotationRules map[string]any
}

// rotateSecret puts AWSPENDING on an empty version and invokes the rotation
// function's four steps in the background, as the service does. With
// RotateImmediately=false only testSecret is invoked, and the empty version
// taken back afterwards.
func (a *AWS) rotateSecret(r *http.Request, in rotateInput) (versionRef, error) {
	name, id := in.name(), in.ClientRequestToken
	if id == "" {
		id = uuid.NewString()
	}
	if in.RotationLambdaARN != "" {
		if _, err := a.functions.find(in.RotationLambdaARN); err != nil {
			return versionRef{}, refuse("InvalidRequestException", "The rotation function does not exist or Secrets Manager may not invoke it.")
		}
	}
	started, err := a.Secrets.Rotate(r.Context(), name, id, in.RotationLambdaARN)
	if err != nil {
		return versionRef{}, err
	}
	found, err := a.entry(name)
	if err != nil {
		return versionRef{}, err
	}
	function := found.Rotation.Function
	switch {
	case !started:
	case in.RotateImmediately != nil && !*in.RotateImmediately:
		a.background(func(ctx context.Context) {
			a.rotate(ctx, function, name, id, "testSecret")
			if err := a.Secrets.Promote(ctx, name, secretstore.Pending, "", id); err != nil {
				a.log.WarnContext(ctx, "taking the tested version back failed", "secret", name, "err", err)
			}
		})
	default:
		a.background(func(ctx context.Context) {
			a.rotate(ctx, function, name, id, "createSecret", "setSecret", "testSecret", "finishSecret")
		})
	}
	return refTo(name, id), nil
}

// rotate invokes steps in their order, until one fails.
func (a *AWS) rotate(ctx context.Context, function, name, id string, steps ...string) {
	token := uuid.NewString()
	for _, step := range steps {
		event, err := json.Marshal(map[string]string{
			"Step": step, "SecretId": secretFullARN(name), "ClientRequestToken": id, "RotationToken": token,
		})
		var answer Result
		if err == nil {
			answer, err = a.Invoke(ctx, function, event)
		}
		if err != nil || answer.Error != "" {
			a.log.WarnContext(ctx, "rotation step failed", "secret", name, "step", step, "function", function)
			return
		}
	}
}

func (a *AWS) cancelRotation(r *http.Request, in secretID) (versionRef, error) {
	return refTo(in.name(), ""), a.Secrets.Cancel(r.Context(), in.name())
}

// A secretEntry is a secret as DescribeSecret and ListSecrets show it.
type secretEntry struct {
	ARN, Name, Description string

	CreatedDate       float64
	DeletedDate       float64 `json:",omitempty"`
	RotationEnabled   bool
	RotationLambdaARN string `json:",omitempty"`

	VersionIDsToStages     map[string][]string `json:"VersionIdsToStages,omitempty"`     // of DescribeSecret
	SecretVersionsToStages map[string][]string `json:"SecretVersionsToStages,omitempty"` // of ListSecrets
}

func (a *AWS) shown(e secretstore.Entry) secretEntry {
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	s := secretEntry{
		ARN: secretFullARN(e.Name), Name: e.Name, Description: a.secrets.description[e.Name], CreatedDate: seconds(e.Created),
		RotationEnabled: e.Rotation.Enabled, RotationLambdaARN: e.Rotation.Function,
	}
	if !e.DeleteAt.IsZero() {
		s.DeletedDate = seconds(e.DeleteAt)
	}
	return s
}

// describeSecret shows stages as they are read, lag and all.
func (a *AWS) describeSecret(r *http.Request, in secretID) (secretEntry, error) {
	d, err := a.Secrets.Describe(r.Context(), in.name())
	if err != nil {
		return secretEntry{}, err
	}
	e, err := a.entry(in.name())
	if err != nil {
		return secretEntry{}, err
	}
	s := a.shown(e)
	s.VersionIDsToStages = stages(d.Versions)
	return s, nil
}

func stages(versions []secretstore.Version) map[string][]string {
	out := map[string][]string{}
	for _, v := range versions {
		if len(v.Stages) > 0 {
			out[v.ID] = v.Stages
		}
	}
	return out
}

type listSecretsInput struct {
	IncludePlannedDeletion bool
}

type secretList struct{ SecretList []secretEntry }

func (a *AWS) listSecrets(_ *http.Request, in listSecretsInput) (secretList, error) {
	out := secretList{SecretList: []secretEntry{}}
	for _, e := range a.Secrets.Entries() {
		if e.DeleteAt.IsZero() || in.IncludePlannedDeletion {
			s := a.shown(e)
			s.SecretVersionsToStages = stages(e.Versions)
			out.SecretList = append(out.SecretList, s)
		}
	}
	return out, nil
}

type listVersionsInput struct {
	secretID

	IncludeDeprecated bool
}

type listedVersion struct {
	VersionID     string   `json:"VersionId"`
	VersionStages []string `json:",omitempty"`
	CreatedDate   float64
}

type versionList struct {
	ARN, Name string
	Versions  []listedVersion
}

func (a *AWS) listVersions(_ *http.Request, in listVersionsInput) (versionList, error) {
	e, err := a.entry(in.name())
	if err != nil {
		return versionList{}, err
	}
	out := versionList{ARN: secretFullARN(e.Name), Name: e.Name, Versions: []listedVersion{}}
	for _, v := range e.Versions {
		if len(v.Stages) > 0 || in.IncludeDeprecated {
			out.Versions = append(out.Versions, listedVersion{VersionID: v.ID, VersionStages: v.Stages, CreatedDate: seconds(v.Created)})
		}
	}
	return out, nil
}
