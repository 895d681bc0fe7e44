package smtest

import (
	"encoding/json"
	"time"
)

// Fault is a failure that a test plans.
type Fault int

// The faults. With Lost and Garbled the work is done nevertheless.
const (
	// Throttled is "Rate exceeded", and nothing is done.
	Throttled Fault = iota + 1
	// Broken is an internal error of the service, status 500, and nothing is done.
	Broken
	// NotVisible is ResourceNotFoundException, as if the last write were not visible yet.
	NotVisible
	// Lost ends the connection in place of the reply.
	Lost
	// Garbled is a reply of status 200 that is cut off, and begins with the whole request or reply.
	Garbled
	// Quoting refuses the request as InvalidParameterException, and quotes all of it.
	Quoting
	// Denied is AccessDeniedException.
	Denied
)

// Age makes every secret older, for a caller whose clock a test can't set.
func (s *Service) Age(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		secret.created = secret.created.Add(-by)
	}
}

// Linger sets whether forced deletions end in the background, as the service documents: such a
// secret is marked for deletion, and its name is taken, until Linger(false) is called.
func (s *Service) Linger(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lingers = on
	for name, secret := range s.secrets {
		if secret.going && !on {
			delete(s.secrets, name)
		}
	}
}

// refusal returns the error of a fault that prevents the work.
func (f Fault) refusal(body []byte) error {
	switch f {
	case Throttled:
		return failure{"ThrottlingException", "Rate exceeded"}
	case Broken:
		return failure{"InternalServiceError", "An error occurred on the server side."}
	case NotVisible:
		return notFound("Secrets Manager can't find the specified secret.")
	case Quoting:
		return invalidParameter("1 validation error detected: " + string(body))
	case Denied:
		return failure{
			"AccessDeniedException",
			"User: arn:aws:sts::123456789012:assumed-role/test is not authorized",
		}
	}
	return nil
}

// garbled returns the beginning of a reply, with everything in it that must stay hidden.
func garbled(reply any, body []byte) []byte {
	text, _ := json.Marshal(reply)
	whole, _ := json.Marshal(string(text) + string(body))
	return append([]byte(`{"VersionStages":`), whole...)
}
