package binding

import "time"

// RunLease says which process runs a schedule. It is a row while a run is under way, and after a
// process was killed or could not delete it.
type RunLease struct {
	Version string `json:"-"`

	Schedule string `json:"schedule"`
	Holder   string `json:"holder"` // a random name of the process
	// ExpiresAt is when another process may take it. By then the run has ended.
	ExpiresAt time.Time `json:"expiresAt"`

	Attributes any `json:"-"`
}
