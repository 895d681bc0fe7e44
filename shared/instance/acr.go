package instance

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"bindery/shared/alibabacloud"
)

// ACR configures the calls to the API of Alibaba Cloud's Container Registry.
type ACR struct {
	// Account is the only account; it has everything that the API lists.
	Account string
	// URL is an origin of the API that is used instead of the region's own.
	URL string
	// Credentials are those that come with each invocation, or nil.
	Credentials *alibabacloud.InvocationCredentials
}

// NewACRClient returns a client of Container Registry's API, and makes no call.
func NewACRClient(o alibabacloud.ClientOptions) (*alibabacloud.Client, error) {
	return alibabacloud.NewClient(alibabacloud.Service{
		Name: "cr", Title: "Container Registry", Version: "2018-12-01",
		MaxReply: maxPageLength, Explain: explainACR,
	}, o)
}

// FromACR returns a catalogue of everything that Container Registry's API lists, as instances of
// the one account. Every other account has none. It is read and cached like the catalogue at an
// address; see [Open].
//
// The API has one endpoint for each region, which knows only the instances of that region: an
// operator with instances in several regions deploys Bindery in each, or writes a catalogue. The
// API lists instances of the Enterprise Edition, not personal ones.
//
// An instance counts in every status but DELETED, also in an unknown one: an instance that is being
// started, stopped or released, or that failed to start, still belongs to its account and must not
// lose its bindings because of a temporary status. It counts until the API no longer lists it.
//
// A list is used only if it is complete: each page must be the requested one, and all pages
// together must have the number of instances that each page states. Anything else is an error.
//
// A role needs cr:ListInstance on all resources (*); the action can't be narrowed.
//
// Source: the service's API reference (ListInstance; version 2018-12-01). Tests compare the request
// and the reply with the vendor's client, which is not linked because it would add megabytes.
func FromACR(client *alibabacloud.Client, account string, o Options) Catalogue {
	o = o.withDefaults()
	return cached(func(ctx context.Context) (accounts, error) {
		list, err := listACR(ctx, client)
		if err != nil {
			return nil, fmt.Errorf("listing the registry's instances: %w", err)
		}
		var p parser
		if p.check(account, list); p.err() != nil {
			return nil, p.err()
		}
		return accounts{account: NewList(list...)}, nil
	}, acrTimeout, o)
}

// The page size is the API's default.
const (
	pageSize      = 30
	maxPages      = 100
	maxPageLength = 1 << 20
)

// statusDeleted is the status of an instance that no longer exists.
const statusDeleted = "DELETED"

func listACR(ctx context.Context, client *alibabacloud.Client) (list []Instance, err error) {
	total, read := 0, 0
	for number := 1; number == 1 || read < total; number++ {
		if number > maxPages {
			return nil, fmt.Errorf("there are more than %d", maxPages*pageSize)
		}
		page, err := readPage(ctx, client, number)
		if err != nil {
			return nil, fmt.Errorf("page %d: %w", number, err)
		}
		if number == 1 {
			total = *page.TotalCount
		}
		want := min(pageSize, total-read)
		if *page.TotalCount != total || len(page.Instances) != want {
			return nil, fmt.Errorf("page %d has %d instances of %d, want %d of %d",
				number, len(page.Instances), *page.TotalCount, want, total)
		}
		read += want
		for _, one := range page.Instances {
			if one.InstanceStatus != statusDeleted {
				list = append(list, Instance{
					Type: Enterprise, Region: one.RegionID, ID: one.InstanceID, Name: one.InstanceName,
				})
			}
		}
	}
	return list, nil
}

// acrPage has the fields of ListInstance's reply that are used here.
type acrPage struct {
	IsSuccess                    bool
	Code                         string
	RequestID                    string `json:"RequestId"`
	PageNo, PageSize, TotalCount *int
	Instances                    []struct {
		InstanceID                   string `json:"InstanceId"`
		RegionID                     string `json:"RegionId"`
		InstanceName, InstanceStatus string
	}
}

func readPage(ctx context.Context, client *alibabacloud.Client, number int) (acrPage, error) {
	var page acrPage
	err := client.Call(ctx, alibabacloud.Operation{Action: "ListInstance", Query: url.Values{
		"PageNo": {strconv.Itoa(number)}, "PageSize": {strconv.Itoa(pageSize)},
	}}, &page)
	switch {
	case err != nil:
		return acrPage{}, err
	case !page.IsSuccess:
		return acrPage{}, client.Failed(page.Code, page.RequestID)
	case page.TotalCount == nil || page.PageNo == nil || *page.PageNo != number ||
		page.PageSize == nil || *page.PageSize != pageSize:
		return acrPage{}, errors.New("the reply isn't the page that was asked for")
	}
	return page, nil
}

// explainACR tells an operator what a code means if it is about the deployment's settings.
func explainACR(code string) string {
	switch {
	case strings.HasPrefix(code, "Forbidden"), strings.HasPrefix(code, "NoPermission"),
		code == "NoPrivilege":
		return "the function's role lacks the permission cr:ListInstance on all resources (*)"
	case strings.Contains(code, "Throttling"):
		return "the account has made too many calls; it will be asked again"
	case strings.HasPrefix(code, "InvalidAction"), strings.HasPrefix(code, "InvalidVersion"):
		return "that isn't the registry's API: see BINDERY_ACR_URL"
	}
	return ""
}
