package smtest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The service's limits, from its API reference and its page "Quotas".
const (
	maxName     = 512
	maxSecretID = 2048
	leastToken  = 32
	maxToken    = 64
	maxValue    = 65_536
	maxStage    = 256
	maxStages   = 20 // of a secret, and of a request
	maxTags     = 50
	maxResults  = 100
	minWindow   = 7  // days
	maxWindow   = 30 // days, and the default
	// keptVersions are kept regardless of age; above that number, versions that are older than a
	// day and have no label are removed. maxVersions is an assumption: somewhat more than the one
	// put in ten minutes that the service allows.
	keptVersions = 100
	maxVersions  = 150
)

// arnPrefix is the beginning of every secret's ARN.
const arnPrefix = "arn:aws:secretsmanager:eu-test-1:123456789012:secret:"

// The labels that the service moves on its own.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// stored is one secret.
type stored struct {
	name, arn, description string
	tags                   map[string]string
	versions               map[string]version
	stages                 map[string]string // a label is on one version only
	created, changed       time.Time
	deletion               time.Time // the end of its recovery window, if it is marked for deletion
	going                  bool      // deleted by force, and not removed yet
}

// version is one value, text or binary.
type version struct {
	binary  []byte
	text    *string
	created time.Time
	serial  int // by order of creation
}

func (v version) same(other version) bool {
	if v.text != nil && other.text != nil {
		return *v.text == *other.text
	}
	return v.text == nil && other.text == nil && bytes.Equal(v.binary, other.binary)
}

func (s *Service) newSecret(name string) *stored {
	s.made++
	now := s.options.Now()
	secret := &stored{
		name:     name,
		arn:      fmt.Sprintf("%s%s-t%05d", arnPrefix, name, s.made),
		tags:     map[string]string{},
		versions: map[string]version{},
		stages:   map[string]string{},
		created:  now,
		changed:  now,
	}
	s.secrets[name] = secret
	return secret
}

// find looks a secret up by name or ARN.
func (s *Service) find(id string) (*stored, error) {
	if n := utf8.RuneCountInString(id); n < 1 || n > maxSecretID {
		return nil, invalidParameter("Invalid length for SecretId.")
	}
	for name, secret := range s.secrets {
		if name == id || secret.arn == id {
			return secret, nil
		}
	}
	return nil, notFound("Secrets Manager can't find the specified secret.")
}

// findLiving is find for operations that are refused for a secret that is marked for deletion.
func (s *Service) findLiving(id string) (*stored, error) {
	secret, err := s.find(id)
	if err != nil {
		return nil, err
	}
	if secret.marked() {
		return nil, invalidRequest("You can't perform this operation on the secret because it " +
			"was marked for deletion.")
	}
	return secret, nil
}

func (secret *stored) marked() bool { return !secret.deletion.IsZero() }

// add adds a version. If the secret has it already, the value must be the same.
func (s *Service) add(secret *stored, id string, v version, stages []string) error {
	if there, known := secret.versions[id]; known {
		if !there.same(v) {
			return failure{
				"ResourceExistsException",
				"The version exists with another value, and can't be changed.",
			}
		}
		return nil
	}
	secret.tidy(s.options.Now())
	if len(secret.versions) >= maxVersions {
		return failure{"LimitExceededException", "The secret has too many versions."}
	}
	after := maps.Clone(secret.stages)
	for _, stage := range stages {
		move(after, stage, id)
	}
	if len(after) > maxStages {
		return failure{"LimitExceededException", "The secret has too many staging labels."}
	}
	s.made++
	v.serial, v.created = s.made, s.options.Now()
	secret.versions[id], secret.stages, secret.changed = v, after, v.created
	return nil
}

// move puts a label on a version. The version that loses AWSCURRENT becomes AWSPREVIOUS.
func move(stages map[string]string, stage, id string) {
	before, had := stages[stage]
	if stage == current && had && before != id {
		stages[previous] = before
	}
	stages[stage] = id
}

// tidy removes versions without a label that are older than a day, the oldest first, until there is
// room for one more among the kept ones.
func (secret *stored) tidy(now time.Time) {
	for _, id := range secret.ids() {
		if len(secret.versions) < keptVersions {
			return
		}
		old := now.Sub(secret.versions[id].created) > 24*time.Hour
		if old && len(secret.stagesOf(id)) == 0 {
			delete(secret.versions, id)
		}
	}
}

// ids lists the versions, the oldest first.
func (secret *stored) ids() []string {
	return slices.SortedFunc(maps.Keys(secret.versions), func(a, b string) int {
		return cmp.Compare(secret.versions[a].serial, secret.versions[b].serial)
	})
}

// stagesOf lists a version's labels, in order.
func (secret *stored) stagesOf(id string) []string {
	var stages []string
	for stage, at := range secret.stages {
		if at == id {
			stages = append(stages, stage)
		}
	}
	slices.Sort(stages)
	return stages
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]+$`)

func checkName(name string) error {
	if len(name) > maxName || !goodName.MatchString(name) {
		return invalidParameter("Invalid name.")
	}
	return nil
}

func checkToken(token string) error {
	if token == "" {
		return invalidRequest("You must provide a ClientRequestToken value.")
	}
	if len(token) < leastToken || len(token) > maxToken {
		return invalidParameter("ClientRequestToken must be 32-64 characters long.")
	}
	return nil
}

// checkValue checks that the version has either text or binary, of an allowed length.
func checkValue(v version) error {
	if (v.text == nil) == (v.binary == nil) {
		return invalidParameter("You must provide either SecretString or SecretBinary, not both.")
	}
	if len(v.binary) > maxValue || (v.text != nil && len(*v.text) > maxValue) {
		return invalidParameter("The value is longer than 65536 bytes.")
	}
	return nil
}

func checkStages(stages []string) error {
	if len(stages) > maxStages {
		return invalidParameter("Too many staging labels.")
	}
	for _, stage := range stages {
		if stage == "" || len(stage) > maxStage || strings.TrimSpace(stage) != stage {
			return invalidParameter("Invalid staging label.")
		}
	}
	return nil
}
