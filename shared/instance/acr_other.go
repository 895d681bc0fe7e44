//go:build !alibaba

package instance

// openACR returns an error: a binary that isn't built for Alibaba Cloud has neither its credentials
// nor a client.
func openACR(Options) (Catalogue, error) {
	return nil, mistake("acr, the registry's own API, needs a binary built with the tag alibaba, " +
		"and this one isn't, wherever it runs: give the catalogue as JSON, or the address of such JSON")
}
