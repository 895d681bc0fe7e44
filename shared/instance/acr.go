package instance

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"bindery/shared/alibabacloud"
)

// ACR says how the API of Alibaba Cloud's Container Registry is asked.
type ACR struct {
	// Account is the one account that has what the API lists.
	Account string
	// URL is another origin of the API than the region's own.
	URL string
	// Latest are the credentials that come with each invocation, or nil.
	Latest *alibabacloud.Latest
}

// NewACRClient makes a client of Container Registry's API, and no call.
func NewACRClient(o alibabacloud.ClientOptions) (*alibabacloud.Client, error) {
	return alibabacloud.NewClient(alibabacloud.Service{
		Name: "cr", Title: "Container Registry", Version: "2018-12-01",
		MaxReply: longest, Explain: explainACR,
	}, o)
}

// FromACR is the catalogue of all that Container Registry's API lists, as instances of the one
// account. Every other account has none. It is read and kept as the catalogue at an address is; see
// [Open].
//
// The API has an endpoint a region, and knows the instances of that region alone: whoever has
// instances in several deploys Bindery in each, or writes a catalogue. It lists instances of the
// Enterprise Edition; personal ones aren't in it.
//
// An instance counts in every status but DELETED, an unknown one too: one that is being started,
// stopped or released, or that failed to start, is still somebody's, and mustn't lose its bindings
// over a status that passes. It counts until the API stops listing it.
//
// A list is taken as a whole or not at all: each page must be the one that was asked for, and all
// of them together as many instances as each page says that there are. Anything else is an error.
//
// A role needs cr:ListInstance on all resources (*), which can't be narrowed.
//
// Source: the service's API reference (ListInstance; version 2018-12-01). Tests hold the request
// and the reply against the vendor's client, which is not linked: it would add megabytes.
func FromACR(client *alibabacloud.Client, account string, now func() time.Time) Catalogue {
	return kept(func(ctx context.Context) (accounts, error) {
		list, err := listACR(ctx, client)
		if err != nil {
			return nil, fmt.Errorf("listing the registry's instances: %w", err)
		}
		if err := errors.Join(check(account, list)...); err != nil {
			return nil, err
		}
		slices.SortFunc(list, order)
		return accounts{account: list}, nil
	}, now)
}

// A page is as long as the API makes one that isn't asked for otherwise.
const (
	pageSize = 30
	maxPages = 100
)

// gone is the status of an instance that isn't there any more.
const gone = "DELETED"

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
			if one.InstanceStatus != gone {
				list = append(list, Instance{
					Type: Enterprise, Region: one.RegionID, ID: one.InstanceID, Name: one.InstanceName,
				})
			}
		}
	}
	return list, nil
}

// acrPage is a reply of ListInstance, as far as it is used here.
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

// explainACR says to an operator what a code means where it is about what he has to set up.
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
