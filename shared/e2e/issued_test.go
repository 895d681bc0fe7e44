package e2e_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// issuedSecrets are the tokens that the platforms have issued, and the data keys of a key service,
// so that the logs can be searched for them. Its zero value has none.
type issuedSecrets struct {
	mu  sync.Mutex
	all map[string]bool
}

var issuedSecret = regexp.MustCompile(
	`"(?:access_token|refresh_token|Plaintext)" ?: ?"([^"\\]+)"`)

// note notes what a service issues. Of a platform only the token endpoint issues any.
func (i *issuedSecrets) note(service http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/" && !strings.HasSuffix(r.URL.Path, "token") {
			service.ServeHTTP(w, r)
			return
		}
		done := httptest.NewRecorder()
		service.ServeHTTP(done, r)
		i.mu.Lock()
		if i.all == nil {
			i.all = map[string]bool{}
		}
		for _, found := range issuedSecret.FindAllStringSubmatch(done.Body.String(), -1) {
			i.all[found[1]] = true
		}
		i.mu.Unlock()
		maps.Copy(w.Header(), done.Header())
		w.WriteHeader(done.Code)
		_, _ = w.Write(done.Body.Bytes())
	})
}

func (i *issuedSecrets) list() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Sorted(maps.Keys(i.all))
}
