package smtest

import (
	"encoding/json"
)

// Fault is something that goes wrong on purpose.
type Fault int

// The faults. After Lost and Garbled the work is done all the same.
const (
	// Throttled is "Rate exceeded", and nothing is done.
	Throttled Fault = iota + 1
	// Broken is an error of the service's own, status 500, and nothing is done.
	Broken
	// Unseen is ResourceNotFoundException, as if what was just written were not there yet.
	Unseen
	// Lost ends the connection in place of the reply.
	Lost
	// Garbled is a reply of status 200 that breaks off, with all of the request or the reply in
	// its beginning.
	Garbled
	// Quoting refuses the request as InvalidParameterException, and quotes all of it.
	Quoting
	// Denied is AccessDeniedException.
	Denied
)

// Linger reports whether forced deletions end in the background, as the service documents: such a
// secret is marked for deletion, and its name is taken, until the call of Linger(false).
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

// refusal is the error of a fault that keeps the work from being done.
func (f Fault) refusal(body []byte) error {
	switch f {
	case Throttled:
		return failure{"ThrottlingException", "Rate exceeded"}
	case Broken:
		return failure{"InternalServiceError", "An error occurred on the server side."}
	case Unseen:
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

// garbled is the beginning of a reply, with everything in it that nobody should see.
func garbled(reply any, body []byte) []byte {
	text, _ := json.Marshal(reply)
	whole, _ := json.Marshal(string(text) + string(body))
	return append([]byte(`{"VersionStages":`), whole...)
}
