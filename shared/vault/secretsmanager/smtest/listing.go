package smtest

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// description is a secret without its values, in a list and by itself.
type description struct {
	identity
	Description     string `json:",omitempty"`
	LastChangedDate *epoch
	CreatedDate     *epoch
	DeletedDate     *epoch              `json:",omitempty"`
	Tags            []tag               `json:",omitempty"`
	ByItself        map[string][]string `json:"VersionIdsToStages,omitempty"`
	InList          map[string][]string `json:"SecretVersionsToStages,omitempty"`
}

func (secret *stored) describe() description {
	d := description{
		identity: secret.identity(), Description: secret.description,
		LastChangedDate: seconds(secret.changed), CreatedDate: seconds(secret.created),
		DeletedDate: seconds(secret.deletion),
	}
	for _, key := range slices.Sorted(maps.Keys(secret.tags)) {
		d.Tags = append(d.Tags, tag{key, secret.tags[key]})
	}
	return d
}

// labelled returns the versions that have labels, with their labels.
func (secret *stored) labelled() map[string][]string {
	versions := map[string][]string{}
	for id := range secret.versions {
		if stages := secret.stagesOf(id); len(stages) > 0 {
			versions[id] = stages
		}
	}
	return versions
}

type describeIn struct{ SecretId string }

func (s *Service) describeSecret(in describeIn) (any, error) {
	secret, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	d := secret.describe()
	d.ByItself = secret.labelled()
	return d, nil
}

type listIn struct {
	IncludePlannedDeletion bool
	MaxResults             *int
	NextToken              string
	Filters                []filter
}

type filter struct {
	Key    string
	Values []string
}

// takes reports whether the name passes all filters. It passes a filter if it matches one of the
// filter's values.
func (in listIn) takes(name string) bool {
	for _, f := range in.Filters {
		begins := func(value string) bool { return strings.HasPrefix(name, value) }
		if !slices.ContainsFunc(f.Values, begins) {
			return false
		}
	}
	return true
}

type listOut struct {
	SecretList []description
	NextToken  string `json:",omitempty"`
}

// listSecrets lists by name. The only filter that it knows is the beginning of a name.
func (s *Service) listSecrets(in listIn) (any, error) {
	for _, f := range in.Filters {
		if f.Key != "name" {
			return nil, invalidParameter("the fake filters only by name")
		}
	}
	var names []string
	for name, secret := range s.secrets {
		if in.takes(name) && (in.IncludePlannedDeletion || !secret.marked()) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names, next, err := page(names, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := listOut{SecretList: []description{}, NextToken: next}
	for _, name := range names {
		d := s.secrets[name].describe()
		d.InList = s.secrets[name].labelled()
		out.SecretList = append(out.SecretList, d)
	}
	return out, nil
}

type versionsIn struct {
	SecretId          string
	MaxResults        *int
	NextToken         string
	IncludeDeprecated bool
}

type versionsOut struct {
	identity
	Versions  []versionOut
	NextToken string `json:",omitempty"`
}

type versionOut struct {
	VersionId     string
	VersionStages []string `json:",omitempty"`
	CreatedDate   *epoch
}

// listSecretVersionIDs lists the versions that have labels, or all versions, by their ids.
func (s *Service) listSecretVersionIDs(in versionsIn) (any, error) {
	secret, err := s.find(in.SecretId)
	if err != nil {
		return nil, err
	}
	ids := slices.Sorted(maps.Keys(secret.labelled()))
	if in.IncludeDeprecated {
		ids = slices.Sorted(maps.Keys(secret.versions))
	}
	ids, next, err := page(ids, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := versionsOut{identity: secret.identity(), Versions: []versionOut{}, NextToken: next}
	for _, id := range ids {
		out.Versions = append(out.Versions, versionOut{
			id, secret.stagesOf(id), seconds(secret.versions[id].created),
		})
	}
	return out, nil
}

// page returns the page of a sorted list that comes after the token, which is the last item of the
// page before.
func page(all []string, most *int, token string) (cut []string, next string, err error) {
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, "", failure{"InvalidNextTokenException", "The NextToken value is invalid."}
	}
	size := maxResults
	if most != nil {
		size = *most
	}
	if size < 1 || size > maxResults {
		return nil, "", invalidParameter("Invalid MaxResults.")
	}
	all = slices.DeleteFunc(all, func(name string) bool { return name <= string(after) })
	if len(all) <= size {
		return all, "", nil
	}
	return all[:size], base64.RawURLEncoding.EncodeToString([]byte(all[size-1])), nil
}
