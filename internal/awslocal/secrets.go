package awslocal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
)

// secretNotes is what the service knows of secrets beyond the twin.
type secretNotes struct {
	mu          sync.Mutex
	description map[string]string
	binary      map[string]bool // by name, NUL and version id: written as SecretBinary
}

func newSecretNotes() *secretNotes {
	return &secretNotes{description: map[string]string{}, binary: map[string]bool{}}
}

func (a *AWS) secretOperations() map[string]jsonOperation {
	return map[string]jsonOperation{
		"CreateSecret": operation(a.createSecret), "GetSecretValue": operation(a.getSecret), "PutSecretValue": operation(a.putSecret),
		"UpdateSecret": operation(a.updateSecret), "UpdateSecretVersionStage": operation(a.moveStage),
		"DescribeSecret": operation(a.describeSecret), "ListSecretVersionIds": operation(a.listVersions), "ListSecrets": operation(a.listSecrets),
		"DeleteSecret": operation(a.deleteSecret), "RestoreSecret": operation(a.restoreSecret),
		"RotateSecret": operation(a.rotateSecret), "CancelRotateSecret": operation(a.cancelRotation),
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

func (n *secretNotes) note(name, id string, v value, description *string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.binary[name+"\x00"+id] = v.SecretBinary != nil
	if description != nil {
		n.description[name] = *description
	}
}

type createSecretInput struct {
	value

	Name        string
	Description *string
	Tags        []map[string]string // not shown anywhere
	KMSKeyID    string              `json:"KmsKeyId"` // every caller may use every key
}

func (a *AWS) createSecret(r *http.Request, in createSecretInput) (versionRef, error) {
	data, id, err := in.data()
	if err == nil {
		err = a.Secrets.Create(r.Context(), in.Name, id, data)
	}
	if err != nil {
		return versionRef{}, err
	}
	a.secrets.note(in.Name, id, in.value, in.Description)
	if data == nil {
		id = ""
	}
	return refTo(in.Name, id), nil
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

func (a *AWS) getSecret(r *http.Request, in getSecretInput) (secretValue, error) {
	name := in.name()
	var found secretstore.Value
	var err error
	switch {
	case in.VersionID == "" && in.VersionStage == "":
		found, err = a.Secrets.Get(r.Context(), name, secretstore.Current)
	case in.VersionID == "":
		found, err = a.Secrets.Get(r.Context(), name, in.VersionStage)
	default:
		found, err = a.Secrets.GetVersion(r.Context(), name, in.VersionID)
		if err == nil && in.VersionStage != "" && !found.Has(in.VersionStage) {
			err = refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId and staging label.")
		}
	}
	if err != nil {
		return secretValue{}, err
	}
	out := secretValue{versionRef: refTo(name, found.ID), CreatedDate: seconds(found.Created)}
	out.VersionStages = found.Stages
	a.secrets.mu.Lock()
	defer a.secrets.mu.Unlock()
	if a.secrets.binary[name+"\x00"+found.ID] || !utf8.Valid(found.Data) {
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

func (a *AWS) putSecret(r *http.Request, in putSecretInput) (versionRef, error) {
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
	if err := a.Secrets.Put(r.Context(), name, id, data, in.VersionStages...); err != nil {
		return versionRef{}, err
	}
	a.secrets.note(name, id, in.value, nil)
	out := refTo(name, id)
	if stored, err := a.entry(name); err == nil {
		out.VersionStages = stages(stored.Versions)[id]
	}
	return out, nil
}

type updateSecretInput struct {
	secretID
	value

	Description *string
	KMSKeyID    string `json:"KmsKeyId"`
}

func (a *AWS) updateSecret(r *http.Request, in updateSecretInput) (versionRef, error) {
	data, id, err := in.data()
	if err != nil {
		return versionRef{}, err
	}
	name := in.name()
	if data == nil {
		id = ""
		_, err = a.Secrets.Describe(r.Context(), name)
	} else {
		err = a.Secrets.Put(r.Context(), name, id, data, secretstore.Current)
	}
	if err != nil {
		return versionRef{}, err
	}
	a.secrets.note(name, id, in.value, in.Description)
	return refTo(name, id), nil
}

type moveStageInput struct {
	secretID

	VersionStage        string
	MoveToVersionID     string `json:"MoveToVersionId"`
	RemoveFromVersionID string `json:"RemoveFromVersionId"`
}

func (a *AWS) moveStage(r *http.Request, in moveStageInput) (versionRef, error) {
	name := in.name()
	return refTo(name, ""), a.Secrets.Promote(r.Context(), name, in.VersionStage, in.MoveToVersionID, in.RemoveFromVersionID)
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

func (a *AWS) deleteSecret(r *http.Request, in deleteSecretInput) (deletedSecret, error) {
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
	err := a.Secrets.Delete(r.Context(), name, window)
	if in.ForceDeleteWithoutRecovery && errors.Is(err, secretstore.ErrNotFound) {
		err = nil // documented: no error for a secret that does not exist
	}
	return deletedSecret{ARN: secretFullARN(name), Name: name, DeletionDate: seconds(a.now().Add(window))}, err
}

func (a *AWS) restoreSecret(r *http.Request, in secretID) (versionRef, error) {
	return refTo(in.name(), ""), a.Secrets.Restore(r.Context(), in.name())
}

// entry finds what the twin knows of a secret beyond its lagging reads.
func (a *AWS) entry(name string) (secretstore.Entry, error) {
	for _, e := range a.Secrets.Entries() {
		if e.Name == name {
			return e, nil
		}
	}
	return secretstore.Entry{}, refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}
