package kmstest

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// The documented limits.
const (
	maxVersions = 10
	maxBytes    = 30_720
	maxPage     = 100
)

var (
	secretName = regexp.MustCompile(`^[A-Za-z0-9_/+=.@-]{1,192}$`)
	versionID  = regexp.MustCompile(`^[A-Za-z0-9_/+=.@-]{1,64}$`)
)

// stored is a secret with its versions, the oldest first.
type stored struct {
	versions []version
	created  time.Time
	// going reports that the secret is scheduled for deletion and could be restored.
	going bool
}

type version struct{ id, kind, value string }

// find returns the version; with the id "" the newest one, which is labelled ACSCurrent.
func (s *stored) find(id string) (version, bool) {
	if id == "" {
		return s.versions[len(s.versions)-1], true
	}
	i := slices.IndexFunc(s.versions, func(v version) bool { return v.id == id })
	if i < 0 {
		return version{}, false
	}
	return s.versions[i], true
}

// Schedule schedules a secret's deletion with a recovery window, as an operator may.
func (s *Service) Schedule(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name].going = true
}

// Age makes every secret older, for a caller whose clock a test can't set.
func (s *Service) Age(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		secret.created = secret.created.Add(-by)
	}
}

// Set creates or replaces a secret, as an operator does.
func (s *Service) Set(name, id, kind, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[name] = &stored{versions: []version{{id, kind, value}}, created: s.options.Now()}
}

// parameters returns the parameters that an operation takes.
func parameters(action string) []string {
	switch action {
	case "CreateSecret":
		return []string{
			"SecretName", "VersionId", "SecretData", "SecretDataType", "SecretType", "DKMSInstanceId",
			"EncryptionKeyId", "Tags",
		}
	case "PutSecretValue":
		return []string{"SecretName", "VersionId", "SecretData", "SecretDataType"}
	case "GetSecretValue":
		return []string{"SecretName", "VersionId"}
	case "DeleteSecret":
		return []string{"SecretName", "ForceDeleteWithoutRecovery"}
	case "ListSecrets":
		return []string{"Filters", "PageNumber", "PageSize"}
	case "GenerateDataKey":
		return []string{"KeyId", "KeySpec", "EncryptionContext"}
	case "Decrypt":
		return []string{"CiphertextBlob", "EncryptionContext"}
	}
	return nil
}

func (s *Service) do(action string, form url.Values) (any, error) {
	known := parameters(action)
	if known == nil {
		return nil, failure{http.StatusNotFound, "InvalidAction.NotFound", "no such operation here"}
	}
	for name, values := range form {
		if !slices.Contains(known, name) || len(values) != 1 {
			return nil, badRequest("the fake knows no parameter " + name)
		}
	}
	switch action {
	case "ListSecrets":
		return s.list(form)
	case "GenerateDataKey":
		return s.generateDataKey(form)
	case "Decrypt":
		return s.decrypt(form)
	}
	if !secretName.MatchString(form.Get("SecretName")) {
		return nil, badRequest("not a secret's name")
	}
	switch action {
	case "CreateSecret":
		return s.create(form)
	case "PutSecretValue":
		return s.put(form)
	case "GetSecretValue":
		return s.get(form)
	}
	return s.delete(form)
}

func newVersion(form url.Values) (version, error) {
	v := version{form.Get("VersionId"), form.Get("SecretDataType"), form.Get("SecretData")}
	if !versionID.MatchString(v.id) || v.value == "" || len(v.value) > maxBytes ||
		!utf8.ValidString(v.value) || v.kind != "text" {
		return version{}, badRequest("a parameter of the version isn't valid")
	}
	return v, nil
}

func (s *Service) create(form url.Values) (any, error) {
	v, err := newVersion(form)
	if err != nil {
		return nil, err
	}
	name := form.Get("SecretName")
	switch there := s.secrets[name]; {
	case form.Get("DKMSInstanceId") != s.options.Instance || form.Get("SecretType") != "Generic":
		return nil, badRequest("not the instance, or not a generic secret")
	case form.Get("EncryptionKeyId") != s.options.EncryptionKey:
		return nil, resourceNotFound() // of the key
	case there != nil && there.going:
		return nil, inDeleteWindow()
	case there != nil:
		return nil, resourceExists()
	}
	s.secrets[name] = &stored{versions: []version{v}, created: s.options.Now()}
	return map[string]any{
		"SecretName": name, "VersionId": v.id, "SecretType": "Generic",
		"Arn": "acs:kms:cn-test:123456789012:secret/" + name,
	}, nil
}

func (s *Service) put(form url.Values) (any, error) {
	v, err := newVersion(form)
	if err != nil {
		return nil, err
	}
	name := form.Get("SecretName")
	secret := s.secrets[name]
	switch {
	case secret == nil:
		return nil, resourceNotFound()
	case secret.going:
		return nil, inDeleteWindow()
	}
	reply := map[string]any{
		"SecretName": name, "VersionId": v.id,
		"VersionStages": map[string]any{"VersionStage": []string{"ACSCurrent"}},
	}
	if there, ok := secret.find(v.id); ok {
		if there != v {
			return nil, resourceExists()
		}
		return reply, nil
	}
	secret.versions = append(secret.versions, v)
	if len(secret.versions) > maxVersions {
		secret.versions = secret.versions[1:]
	}
	return reply, nil
}

func (s *Service) get(form url.Values) (any, error) {
	name := form.Get("SecretName")
	secret := s.secrets[name]
	switch {
	case secret == nil:
		return nil, resourceNotFound()
	case secret.going:
		return nil, inDeleteWindow()
	}
	v, ok := secret.find(form.Get("VersionId"))
	if !ok {
		return nil, resourceNotFound()
	}
	return map[string]any{
		"SecretName": name, "VersionId": v.id, "SecretData": v.value, "SecretDataType": v.kind,
		"SecretType": "Generic", "CreateTime": instant(secret.created),
		"VersionStages": map[string]any{"VersionStage": []string{}},
	}, nil
}

func (s *Service) delete(form url.Values) (any, error) {
	name := form.Get("SecretName")
	switch {
	case form.Get("ForceDeleteWithoutRecovery") != "true":
		return nil, badRequest("the fake knows no recovery window")
	case s.secrets[name] == nil:
		return nil, resourceNotFound()
	}
	delete(s.secrets, name)
	return map[string]any{"SecretName": name, "PlannedDeleteTime": "2026-01-02T03:04:05Z"}, nil
}

// list lists by name. The only filter that it knows is the instance, which has every secret.
func (s *Service) list(form url.Values) (any, error) {
	var filters []struct {
		Key    string
		Values []string
	}
	number, numberErr := strconv.Atoi(form.Get("PageNumber"))
	size, sizeErr := strconv.Atoi(form.Get("PageSize"))
	err := errors.Join(numberErr, sizeErr, json.Unmarshal([]byte(form.Get("Filters")), &filters))
	if err != nil || number < 1 || size < 1 || size > maxPage || len(filters) != 1 ||
		filters[0].Key != "DKMSInstanceId" {
		return nil, badRequest("a parameter of the list isn't valid")
	}
	names := slices.Sorted(maps.Keys(s.secrets))
	if !slices.Contains(filters[0].Values, s.options.Instance) {
		names = nil
	}
	entries := []map[string]any{}
	for _, name := range names[min((number-1)*size, len(names)):min(number*size, len(names))] {
		secret := s.secrets[name]
		entry := map[string]any{
			"SecretName": name, "SecretType": "Generic",
			"CreateTime": instant(secret.created), "UpdateTime": instant(secret.created),
		}
		if secret.going {
			entry["PlannedDeleteTime"] = instant(secret.created.AddDate(0, 0, 30))
		}
		entries = append(entries, entry)
	}
	return map[string]any{
		"PageNumber": number, "PageSize": size, "TotalCount": len(names),
		"SecretList": map[string]any{"Secret": entries},
	}, nil
}

// instant is a time as the service writes it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func resourceNotFound() error {
	return failure{http.StatusNotFound, "Forbidden.ResourceNotFound", "Resource not found."}
}

func resourceExists() error {
	return failure{http.StatusConflict, "Rejected.ResourceExist", "The resource already exists."}
}

func inDeleteWindow() error {
	return failure{
		http.StatusConflict, "Rejected.ResourceInDeleteWindow", "The secret is planned to be deleted.",
	}
}
