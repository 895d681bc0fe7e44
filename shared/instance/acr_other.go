//go:build !alibaba

package instance

// openACR refuses: what isn't built for Alibaba Cloud has none of its credentials and no client.
func openACR(Options) (Catalogue, error) {
	return nil, mistake("acr, the registry's own API, needs a binary built with the tag alibaba, " +
		"and this one isn't, wherever it runs: give the catalogue as JSON, or the address of such JSON")
}
