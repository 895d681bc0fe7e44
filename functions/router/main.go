// Router forwards a request to the function that serves it, for the routes that Function Compute's
// custom domain can't tell apart. AWS needs none: its API Gateway tells them apart.
package main

import (
	"os"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/dispatch"
	"bindery/shared/trigger"
)

func main() { trigger.Run(build) }

func build(p trigger.Params) (trigger.Function, error) {
	environment, err := alibabacloud.Read(os.Getenv, p.Credentials)
	if err != nil {
		return trigger.Function{}, err
	}
	d, err := dispatch.New(dispatch.Options{
		Environment: environment, Endpoint: p.Config.Alibaba.FCURL, Console: p.Config.ConsoleURL,
		Account: os.Getenv("FC_ACCOUNT_ID"), Own: os.Getenv("FC_FUNCTION_NAME"),
		Now: time.Now, Log: trigger.Logger("router"),
	})
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: d}, nil
}
