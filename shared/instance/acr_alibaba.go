//go:build alibaba

package instance

import (
	"os"

	"bindery/shared/alibabacloud"
)

// openACR calls the API of the environment's region, with the credentials of the newest invocation
// or of the environment; see [alibabacloud.Read].
func openACR(o Options) (Catalogue, error) {
	environment, err := alibabacloud.Read(os.Getenv, o.ACR.Credentials)
	if err != nil {
		return nil, err
	}
	client, err := NewACRClient(alibabacloud.ClientOptions{
		Environment: environment, Endpoint: o.ACR.URL, Now: o.Now,
	})
	if err != nil {
		return nil, err
	}
	return FromACR(client, o.ACR.Account, o), nil
}
