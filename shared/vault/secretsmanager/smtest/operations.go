package smtest

import "time"

// tag is a tag in the form of requests and replies.
type tag struct{ Key, Value string }

// epoch is a time in the form of JSON 1.1, in seconds.
type epoch float64

func seconds(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	e := epoch(float64(t.UnixMilli()) / 1000)
	return &e
}

// identity is the beginning of nearly every reply.
type identity struct {
	ARN, Name string
}

func (secret *stored) identity() identity { return identity{secret.arn, secret.name} }

type valueOut struct {
	identity
	VersionId     string
	SecretBinary  []byte   `json:",omitempty"`
	SecretString  *string  `json:",omitempty"`
	VersionStages []string `json:",omitempty"`
	CreatedDate   *epoch   `json:",omitempty"`
}

type createIn struct {
	Name, ClientRequestToken, Description string
	SecretBinary                          []byte
	SecretString                          *string
	Tags                                  []tag
}

// createSecret refuses a secret without a value, which the service accepts.
func (s *Service) createSecret(in createIn) (any, error) {
	v := version{binary: in.SecretBinary, text: in.SecretString}
	if err := first(
		checkName(in.Name), checkToken(in.ClientRequestToken), checkValue(v), checkTags(in.Tags, 0),
	); err != nil {
		return nil, err
	}
	secret := s.secrets[in.Name]
	if secret == nil {
		secret = s.newSecret(in.Name)
		secret.description = in.Description
		secret.tag(in.Tags)
		if err := s.add(secret, in.ClientRequestToken, v, []string{current}); err != nil {
			return nil, err
		}
	}
	if secret.marked() {
		return nil, invalidRequest("You can't create this secret because a secret with this name " +
			"is already scheduled for deletion.")
	}
	if there, known := secret.versions[in.ClientRequestToken]; !known || !there.same(v) {
		return nil, failure{"ResourceExistsException", "The secret " + in.Name + " already exists."}
	}
	return valueOut{identity: secret.identity(), VersionId: in.ClientRequestToken}, nil
}

type putIn struct {
	SecretId, ClientRequestToken string
	SecretBinary                 []byte
	SecretString                 *string
	VersionStages                []string
}

func (s *Service) putSecretValue(in putIn) (any, error) {
	v := version{binary: in.SecretBinary, text: in.SecretString}
	if err := first(
		checkToken(in.ClientRequestToken), checkValue(v), checkStages(in.VersionStages),
	); err != nil {
		return nil, err
	}
	secret, err := s.findLiving(in.SecretId)
	if err != nil {
		return nil, err
	}
	stages := in.VersionStages
	if len(stages) == 0 {
		stages = []string{current}
	}
	if err := s.add(secret, in.ClientRequestToken, v, stages); err != nil {
		return nil, err
	}
	return valueOut{
		identity: secret.identity(), VersionId: in.ClientRequestToken,
		VersionStages: secret.stagesOf(in.ClientRequestToken),
	}, nil
}

type getIn struct{ SecretId, VersionId, VersionStage string }

func (s *Service) getSecretValue(in getIn) (any, error) {
	secret, err := s.findLiving(in.SecretId)
	if err != nil {
		return nil, err
	}
	id, stage := in.VersionId, in.VersionStage
	if id == "" {
		if stage == "" {
			stage = current
		}
		if id = secret.stages[stage]; id == "" {
			return nil, notFound("Secrets Manager can't find the specified secret value for " +
				"staging label: " + stage)
		}
	} else if err := checkToken(id); err != nil {
		return nil, err
	}
	v, known := secret.versions[id]
	if !known {
		return nil, notFound("Secrets Manager can't find the specified secret value for " +
			"VersionId: " + id)
	}
	if stage != "" && secret.stages[stage] != id {
		return nil, invalidRequest("The version has no such staging label.")
	}
	return valueOut{
		identity: secret.identity(), VersionId: id, SecretBinary: v.binary, SecretString: v.text,
		VersionStages: secret.stagesOf(id), CreatedDate: seconds(v.created),
	}, nil
}

type deleteIn struct {
	SecretId                   string
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

// deleteSecret by force succeeds for a secret that doesn't exist, as the service does.
func (s *Service) deleteSecret(in deleteIn) (any, error) {
	days := maxWindow
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
		if in.ForceDeleteWithoutRecovery || days < minWindow || days > maxWindow {
			return nil, invalidParameter("Invalid RecoveryWindowInDays.")
		}
	}
	now := s.options.Now()
	secret, err := s.find(in.SecretId)
	switch {
	case isNotFound(err) && in.ForceDeleteWithoutRecovery:
		return deleteOut{identity{arnPrefix + in.SecretId, in.SecretId}, seconds(now)}, nil
	case err != nil:
		return nil, err
	case in.ForceDeleteWithoutRecovery:
		secret.deletion, secret.going = now, true
		if !s.lingers {
			delete(s.secrets, secret.name)
		}
	case secret.marked():
		return nil, invalidRequest("You can't perform this operation on the secret because it " +
			"was already scheduled for deletion.")
	default:
		secret.deletion = now.AddDate(0, 0, days)
	}
	return deleteOut{secret.identity(), seconds(secret.deletion)}, nil
}

type deleteOut struct {
	identity
	DeletionDate *epoch
}

type tagIn struct {
	SecretId string
	Tags     []tag
}

func (s *Service) tagResource(in tagIn) (any, error) {
	secret, err := s.findLiving(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags, len(secret.tags)); err != nil {
		return nil, err
	}
	secret.tag(in.Tags)
	return nil, nil
}

func (secret *stored) tag(tags []tag) {
	for _, t := range tags {
		secret.tags[t.Key] = t.Value
	}
}

func checkTags(tags []tag, there int) error {
	for _, t := range tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 {
			return invalidParameter("Invalid tag.")
		}
	}
	if len(tags)+there > maxTags {
		return invalidParameter("Too many tags.")
	}
	return nil
}

type stageIn struct{ SecretId, VersionStage, RemoveFromVersionId, MoveToVersionId string }

func (s *Service) updateSecretVersionStage(in stageIn) (any, error) {
	secret, err := s.findLiving(in.SecretId)
	if err != nil {
		return nil, err
	}
	if err := checkStages([]string{in.VersionStage}); err != nil {
		return nil, err
	}
	at, to := secret.stages[in.VersionStage], in.MoveToVersionId
	_, known := secret.versions[to]
	switch {
	case to == "" && in.RemoveFromVersionId == "":
		return nil, invalidParameter("No version to move the label to, or to take it from.")
	case to != "" && !known:
		return nil, notFound("Secrets Manager can't find the specified version.")
	case in.RemoveFromVersionId != at && (at != to || to == ""):
		return nil, invalidParameter("The label is at another version than RemoveFromVersionId.")
	case to == "" && in.VersionStage == current:
		return nil, invalidParameter("AWSCURRENT can be moved, and not removed.")
	case to == "":
		delete(secret.stages, in.VersionStage)
	case at == "" && len(secret.stages) >= maxStages:
		return nil, failure{"LimitExceededException", "The secret has too many staging labels."}
	default:
		move(secret.stages, in.VersionStage, to)
	}
	return secret.identity(), nil
}

// first returns the first of the errors that isn't nil.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
