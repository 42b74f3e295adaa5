package awslocal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
)

// secretsManager is Secrets Manager on the fake.
type secretsManager struct {
	fake      *secretstore.Memory
	notes     *secretNotes
	functions *functions
	now       func() time.Time
}

func (s *secretsManager) operations() map[string]jsonOperation {
	return map[string]jsonOperation{
		"CreateSecret": operation(s.create), "GetSecretValue": operation(s.get), "PutSecretValue": operation(s.put),
		"UpdateSecret": operation(s.update), "UpdateSecretVersionStage": operation(s.moveStage),
		"DescribeSecret": operation(s.describe), "ListSecretVersionIds": operation(s.listVersions), "ListSecrets": operation(s.list),
		"DeleteSecret": operation(s.delete), "RestoreSecret": operation(s.restore),
		"RotateSecret": operation(s.rotate), "CancelRotateSecret": operation(s.cancelRotation),
		"TagResource": operation(s.tag), "UntagResource": operation(s.untag), "GetRandomPassword": operation(randomPassword),
		"BatchGetSecretValue": operation(secretBatches{s}.get),
	}
}

type secretID struct {
	SecretID string `json:"SecretId"`
}

var secretARN = regexp.MustCompile(`^arn:aws:secretsmanager:[^:]*:[^:]*:secret:(.*)$`)

// name returns the secret's name, whether the caller gave it or the ARN.
func (s secretID) name() string {
	m := secretARN.FindStringSubmatch(s.SecretID)
	if m == nil {
		return s.SecretID
	}
	if cut := len(m[1]) - suffixLength - 1; cut > 0 && secretFullARN(m[1][:cut]) == s.SecretID {
		return m[1][:cut]
	}
	return m[1]
}

const suffixLength = 6

// secretFullARN ends, as the service's, with six characters after the name.
func secretFullARN(name string) string {
	digest := sha256.Sum256([]byte(name))
	return arn("secretsmanager", "secret:"+name+"-"+hex.EncodeToString(digest[:])[:suffixLength])
}

// A versionRef is what most operations answer.
type versionRef struct {
	ARN, Name     string
	VersionID     string   `json:"VersionId,omitempty"`
	VersionStages []string `json:",omitempty"`
}

func refTo(name, version string) versionRef {
	return versionRef{ARN: secretFullARN(name), Name: name, VersionID: version}
}

// A value is a secret's value as it is sent.
type value struct {
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
}

// data returns the bytes, nil if there are none, and the version's id.
func (v value) data() (data []byte, id string, err error) {
	if v.SecretString != nil && v.SecretBinary != nil {
		return nil, "", refuse("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	}
	data = v.SecretBinary
	if v.SecretString != nil {
		data = []byte(*v.SecretString)
	}
	if id = v.ClientRequestToken; id == "" {
		id = uuid.NewString()
	}
	return data, id, nil
}

type createSecretInput struct {
	value

	Name        string
	Description *string
	Tags        []tag
	KMSKeyID    *string `json:"KmsKeyId"`
}

// create makes a secret. What is wrong with its tags or its description is
// refused before there is one.
func (s *secretsManager) create(r *http.Request, in createSecretInput) (versionRef, error) {
	data, id, err := in.data()
	about := func(note *secretNote) error {
		if err := note.describe(in.Description, in.KMSKeyID); err != nil {
			return err
		}
		return note.addTags(in.Tags)
	}
	if err == nil {
		err = about(&secretNote{})
	}
	if err == nil {
		err = s.fake.Create(r.Context(), in.Name, id, data)
	}
	if err != nil {
		return versionRef{}, err
	}
	err = s.change(in.Name, func(note *secretNote) error {
		note.binary[id] = in.SecretBinary != nil
		return about(note)
	})
	if data == nil {
		id = ""
	}
	return refTo(in.Name, id), err
}

// change changes what is noted of a secret.
func (s *secretsManager) change(name string, f func(*secretNote) error) error {
	e, err := s.entry(name)
	if err != nil {
		return err
	}
	return s.notes.change(e, f)
}

type getSecretInput struct {
	secretID

	VersionID    string `json:"VersionId"`
	VersionStage string
}

type secretValue struct {
	versionRef

	SecretString *string `json:",omitempty"`
	SecretBinary []byte  `json:",omitempty"`
	CreatedDate  float64
}

func (s *secretsManager) get(r *http.Request, in getSecretInput) (secretValue, error) {
	name := in.name()
	var found secretstore.Value
	var err error
	switch {
	case in.VersionID == "" && in.VersionStage == "":
		found, err = s.fake.Get(r.Context(), name, secretstore.Current)
	case in.VersionID == "":
		found, err = s.fake.Get(r.Context(), name, in.VersionStage)
	default:
		found, err = s.fake.GetVersion(r.Context(), name, in.VersionID)
		if err == nil && in.VersionStage != "" && !found.Has(in.VersionStage) {
			err = refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s and staging label: %s", in.VersionID, in.VersionStage)
		}
	}
	if err != nil {
		return secretValue{}, err
	}
	out := secretValue{versionRef: refTo(name, found.ID), CreatedDate: seconds(found.Created)}
	out.VersionStages = found.Stages
	if e, err := s.entry(name); err == nil && s.notes.isBinary(e, found.ID) || !utf8.Valid(found.Data) {
		out.SecretBinary = found.Data
	} else {
		text := string(found.Data)
		out.SecretString = &text
	}
	return out, nil
}

// seconds is the protocol's form of a time.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

type putSecretInput struct {
	secretID
	value

	VersionStages []string
	RotationToken string // names a rotation function's session; nothing to check here
}

func (s *secretsManager) put(r *http.Request, in putSecretInput) (versionRef, error) {
	data, id, err := in.data()
	if err != nil {
		return versionRef{}, err
	}
	if data == nil {
		return versionRef{}, refuse("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
	}
	if in.VersionStages == nil {
		in.VersionStages = []string{secretstore.Current}
	}
	name := in.name()
	if err := s.fake.Put(r.Context(), name, id, data, in.VersionStages...); err != nil {
		return versionRef{}, err
	}
	stored, err := s.entry(name)
	if err != nil {
		return versionRef{}, err
	}
	out := refTo(name, id)
	out.VersionStages = stages(stored.Versions)[id]
	return out, s.notes.change(stored, func(note *secretNote) error {
		note.binary[id] = in.SecretBinary != nil
		return nil
	})
}

type updateSecretInput struct {
	secretID
	value

	Description *string
	KMSKeyID    *string `json:"KmsKeyId"`
}

func (s *secretsManager) update(r *http.Request, in updateSecretInput) (versionRef, error) {
	data, id, err := in.data()
	if err == nil {
		err = (&secretNote{}).describe(in.Description, in.KMSKeyID)
	}
	if err != nil {
		return versionRef{}, err
	}
	name := in.name()
	if data == nil {
		id = ""
		err = s.live(name)
	} else {
		err = s.fake.Put(r.Context(), name, id, data, secretstore.Current)
	}
	if err != nil {
		return versionRef{}, err
	}
	return refTo(name, id), s.change(name, func(note *secretNote) error {
		if data != nil {
			note.binary[id] = in.SecretBinary != nil
		}
		note.changed = s.now()
		return note.describe(in.Description, in.KMSKeyID)
	})
}

// live refuses a change of a secret that is not there or waits for its deletion.
func (s *secretsManager) live(name string) error {
	e, err := s.entry(name)
	if err == nil && !e.DeleteAt.IsZero() {
		err = refuse("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return err
}

type tagInput struct {
	secretID

	Tags []tag
}

func (s *secretsManager) tag(_ *http.Request, in tagInput) (nothing, error) {
	if err := s.live(in.name()); err != nil {
		return nothing{}, err
	}
	return nothing{}, s.change(in.name(), func(note *secretNote) error {
		note.changed = s.now()
		return note.addTags(in.Tags)
	})
}

type untagInput struct {
	secretID

	TagKeys []string
}

func (s *secretsManager) untag(_ *http.Request, in untagInput) (nothing, error) {
	if err := s.live(in.name()); err != nil {
		return nothing{}, err
	}
	return nothing{}, s.change(in.name(), func(note *secretNote) error {
		before := len(note.tags)
		note.tags = slices.DeleteFunc(note.tags, func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) })
		if len(note.tags) < before {
			note.changed = s.now()
		}
		return nil
	})
}

type moveStageInput struct {
	secretID

	VersionStage        string
	MoveToVersionID     string `json:"MoveToVersionId"`
	RemoveFromVersionID string `json:"RemoveFromVersionId"`
}

func (s *secretsManager) moveStage(r *http.Request, in moveStageInput) (versionRef, error) {
	name := in.name()
	return refTo(name, ""), s.fake.Promote(r.Context(), name, in.VersionStage, in.MoveToVersionID, in.RemoveFromVersionID)
}

type deleteSecretInput struct {
	secretID

	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

type deletedSecret struct {
	ARN, Name    string
	DeletionDate float64
}

func (s *secretsManager) delete(r *http.Request, in deleteSecretInput) (deletedSecret, error) {
	name, window := in.name(), 30*24*time.Hour
	switch {
	case in.ForceDeleteWithoutRecovery && in.RecoveryWindowInDays != nil:
		return deletedSecret{}, refuse("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case in.ForceDeleteWithoutRecovery:
		window = 0
	case in.RecoveryWindowInDays != nil:
		if window = time.Duration(*in.RecoveryWindowInDays) * 24 * time.Hour; window <= 0 {
			return deletedSecret{}, refuse("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
		}
	}
	err := s.fake.Delete(r.Context(), name, window)
	if in.ForceDeleteWithoutRecovery && errors.Is(err, secretstore.ErrNotFound) {
		err = nil // documented: no error for a secret that does not exist
	}
	if in.ForceDeleteWithoutRecovery && err == nil {
		err = s.notes.forget(name)
	}
	return deletedSecret{ARN: secretFullARN(name), Name: name, DeletionDate: seconds(s.now().Add(window))}, err
}

func (s *secretsManager) restore(r *http.Request, in secretID) (versionRef, error) {
	return refTo(in.name(), ""), s.fake.Restore(r.Context(), in.name())
}

// entry finds what the fake knows of a secret beyond its lagging reads.
func (s *secretsManager) entry(name string) (secretstore.Entry, error) {
	for _, e := range s.fake.Entries() {
		if e.Name == name {
			return e, nil
		}
	}
	return secretstore.Entry{}, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}
