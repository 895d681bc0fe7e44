package instance_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/instance"
	"bindery/shared/instance/acrtest"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// The credentials contain characters that are encoded in an address.
const acrKey, acrToken = "canary-key+/", "canary-token+/="

// registry is a catalogue on a fake service, with a clock that tests set.
type registry struct {
	instance.Catalogue
	service *acrtest.Service
	at      atomic.Int64
}

func (r *registry) now() time.Time { return time.Unix(1_700_000_000+r.at.Load(), 0) }

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{service: acrtest.New("id", acrKey, acrToken)}
	r.Catalogue = instance.FromACR(acrClient(t, r.service), "acme", instance.Options{Now: r.now})
	return r
}

func acrClient(t *testing.T, service http.Handler) *alibabacloud.Client {
	t.Helper()
	return acrClientThat(t, service, func(ctx context.Context, _ time.Duration) error {
		return ctx.Err()
	})
}

func acrClientThat(
	t *testing.T, service http.Handler, sleep func(context.Context, time.Duration) error,
) *alibabacloud.Client {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	client, err := instance.NewACRClient(alibabacloud.ClientOptions{
		Environment: alibabacloud.Environment{
			Region: "cn-test",
			Credentials: func() alibabacloud.Credentials {
				return alibabacloud.Credentials{
					ID: "id", Key: secret.New(acrKey), Token: secret.New(acrToken),
				}
			},
		},
		Endpoint: server.URL, Now: time.Now, Sleep: sleep,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// listAll lists acme's instances.
func listAll(t *testing.T, c instance.Catalogue) ([]instance.Instance, error) {
	t.Helper()
	list, err := c.List(t.Context(), "acme")
	return slices.Collect(list.All()), err
}

// running returns n instances, cri-000 and so on, the last one first.
func running(n int) []acrtest.Instance {
	list := make([]acrtest.Instance, n)
	for i := range list {
		list[n-1-i] = acrtest.Instance{
			ID: fmt.Sprintf("cri-%03d", i), Name: fmt.Sprint("名", i), Region: "cn-test", Status: "RUNNING",
		}
	}
	return list
}

func TestTheRegistrysInstancesAreAllThoseOfTheOneAccount(t *testing.T) {
	for _, n := range []int{0, 1, 29, 30, 31, 60, 75} {
		r := newRegistry(t)
		r.service.Set(running(n)...)
		if r.service.Calls() != 0 {
			t.Error("it was called before it was needed")
		}
		list, err := listAll(t, r)
		if err != nil || len(list) != n {
			t.Fatalf("%d instances: got %d, %v", n, len(list), err)
		}
		for i, got := range list {
			want := instance.Instance{
				Type: instance.Enterprise, Region: "cn-test", ID: fmt.Sprintf("cri-%03d", i),
				Name: fmt.Sprint("名", i),
			}
			if got != want {
				t.Errorf("%d instances: number %d is %+v, want %+v", n, i, got, want)
			}
		}
		if got, want := r.service.Calls(), max(1, (n+29)/30); got != want {
			t.Errorf("%d instances took %d calls, want %d", n, got, want)
		}
		for _, other := range []string{"beta", "", "ACME"} {
			if got := ids(t, r, other); got != "" {
				t.Errorf("the account %q lists %q", other, got)
			}
			if _, err := r.Find(t.Context(), other, "cn-test", "cri-000"); err != instance.ErrUnknown {
				t.Errorf("the account %q finds an instance, or %v", other, err)
			}
		}
	}
}

func TestTheRegionIsThatOfTheReply(t *testing.T) {
	r := newRegistry(t)
	r.service.Set(acrtest.Instance{ID: "cri-1", Region: "cn-elsewhere", Status: "RUNNING"})
	if got := ids(t, r, "acme"); got != "cn-elsewhere/cri-1" {
		t.Errorf("lists %q", got)
	}
}

func TestAnInstanceCountsInEveryStatusUntilItIsDeleted(t *testing.T) {
	r := newRegistry(t)
	var list []acrtest.Instance
	var want []string
	for i, status := range []string{
		"PENDING", "INIT_ERROR", "STARTING", "RUNNING", "STOPPING", "STOPPED", "DELETING", "", "NEW",
	} {
		id := fmt.Sprint("cri-", i)
		list = append(list, acrtest.Instance{ID: id, Region: "r", Status: status})
		want = append(want, "r/"+id)
	}
	r.service.Set(append(list, acrtest.Instance{ID: "cri-9", Region: "r", Status: "DELETED"})...)
	if got := ids(t, r, "acme"); got != strings.Join(want, " ") {
		t.Errorf("lists %q, want %q", got, want)
	}
}

// If the API returns anything but a complete list, no caller may conclude that an instance no
// longer exists.
func TestAnIncompleteListOfTheRegistryIsNeverUsed(t *testing.T) {
	second := func(change func(reply map[string]any)) func(int, map[string]any) {
		return func(page int, reply map[string]any) {
			if page == 2 {
				change(reply)
			}
		}
	}
	first := func(change func(reply map[string]any)) func(int, map[string]any) {
		return func(_ int, reply map[string]any) { change(reply) }
	}
	set := func(name string, value any) func(map[string]any) {
		return func(reply map[string]any) { reply[name] = value }
	}
	less := func(reply map[string]any) {
		list := reply["Instances"].([]acrtest.Instance)
		reply["Instances"] = list[:len(list)-1]
	}
	for what, tamper := range map[string]func(int, map[string]any){
		"a page says it failed":      second(set("IsSuccess", false)),
		"a page doesn't say":         first(func(r map[string]any) { delete(r, "IsSuccess") }),
		"no total":                   first(func(r map[string]any) { delete(r, "TotalCount") }),
		"no number":                  first(func(r map[string]any) { delete(r, "PageNo") }),
		"no list":                    first(func(r map[string]any) { delete(r, "Instances") }),
		"null":                       first(set("Instances", nil)),
		"the first page again":       second(set("PageNo", 1)),
		"another size":               first(set("PageSize", 10)),
		"a total that grows":         second(set("TotalCount", 41)),
		"a total that shrinks":       second(set("TotalCount", 30)),
		"a total below the page's":   first(set("TotalCount", 20)),
		"a negative total":           first(set("TotalCount", -1)),
		"no end":                     first(set("TotalCount", 1_000_000)),
		"the last page is empty":     second(set("Instances", []acrtest.Instance{})),
		"the last page lacks one":    second(less),
		"the first page lacks one":   first(less),
		"an instance is there twice": second(set("Instances", running(40)[:10])),
		"an instance has no id":      second(set("Instances", make([]acrtest.Instance, 10))),
	} {
		t.Run(what, func(t *testing.T) {
			r := newRegistry(t)
			r.service.Set(running(40)...)
			r.service.Tamper(tamper)
			unknown(t, r)
			// Nor does it replace what was known before.
			r.service.Tamper(nil)
			r.at.Add(5)
			before := ids(t, r, "acme")
			r.service.Tamper(tamper)
			r.at.Add(300)
			if got := ids(t, r, "acme"); got != before || strings.Count(got, " ") != 39 {
				t.Errorf("lists %q", got)
			}
		})
	}
}

// unknown expects that the catalogue can't tell, and returns the error for the operator.
func unknown(t *testing.T, c instance.Catalogue) string {
	t.Helper()
	list, listing := listAll(t, c)
	_, finding := c.Find(t.Context(), "acme", "cn-test", "cri-000")
	for _, err := range []error{listing, finding} {
		if !problem.Is(err, problem.InstancesUnknown) || errors.Is(err, instance.ErrUnknown) ||
			list != nil {
			t.Fatalf("got %d instances and %v", len(list), err)
		}
		for _, form := range []string{
			"canary", url.QueryEscape(acrToken), "Signature=", "<html>",
		} {
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), form) {
				t.Errorf("the error shows what must not be seen: %s", form)
			}
		}
	}
	return listing.Error()
}

func TestD1_NoErrorOfTheRegistryShowsTheCredentialsAndItTellsTheOperatorWhatToDo(t *testing.T) {
	const (
		role  = "the function's role lacks the permission cr:ListInstance"
		taken = "the credentials aren't taken"
	)
	for _, c := range []struct {
		fault acrtest.Fault
		calls int
		want  string
	}{
		{acrtest.Fault{Status: 403, Code: "Forbidden.RAM"}, 1, "Forbidden.RAM: " + role},
		{acrtest.Fault{Status: 403, Code: "NoPermission"}, 1, role},
		{acrtest.Fault{Status: 403, Code: "NoPrivilege"}, 1, role},
		{acrtest.Fault{Status: 404, Code: "InvalidAccessKeyId.NotFound"}, 1, taken},
		{acrtest.Fault{Status: 400, Code: "InvalidSecurityToken.Expired"}, 1, taken},
		{acrtest.Fault{Status: 400, Code: "SignatureDoesNotMatch"}, 1, taken},
		{acrtest.Fault{Status: 404, Code: "InvalidAction.NotFound"}, 1, "BINDERY_ACR_URL"},
		{acrtest.Fault{Status: 400, Code: "Throttling.User"}, 3, "too many calls"},
		{acrtest.Fault{Status: 429, Code: "Throttling"}, 3, "too many calls"},
		{acrtest.Fault{Status: 500, Code: "SystemError"}, 3, "answered SystemError (request 0"},
		{acrtest.Fault{Status: 502, Page: true}, 3, "answered with status 502"},
		{acrtest.Fault{Status: 302, Page: true}, 1, "can't be read"},
		{acrtest.Fault{Cut: true}, 1, "the reply of Container Registry can't be read"},
		{acrtest.Fault{Lost: true}, 3, "asking Container Registry: EOF"},
	} {
		t.Run(fmt.Sprintf("%+v", c.fault), func(t *testing.T) {
			r := newRegistry(t)
			r.service.Set(running(1)...)
			r.service.Fail(c.fault, c.fault, c.fault)
			text := unknown(t, r)
			if !strings.Contains(text, "listing the registry's instances: page 1: ") ||
				!strings.Contains(text, c.want) || strings.Contains(text, "\n") {
				t.Errorf("got %q, want %q", text, c.want)
			}
			if got := r.service.Calls(); got != c.calls {
				t.Errorf("two questions made %d calls, want %d", got, c.calls)
			}
		})
	}
}

func TestCredentialsThatTheRegistryRefusesAreNotShown(t *testing.T) {
	r := newRegistry(t)
	r.service.SetCredentials("id", "another key", acrToken) // the service then quotes what was signed
	if text := unknown(t, r); !strings.Contains(text, "SignatureDoesNotMatch: the credentials") {
		t.Errorf("got %q", text)
	}
}

func TestTheRegistrysListIsCachedForFiveMinutesAndUsedWhenTheAPIFails(t *testing.T) {
	r := newRegistry(t)
	denied := acrtest.Fault{Status: 403, Code: "Forbidden.RAM"}
	for i, step := range []struct {
		later int64
		n     int // of instances
		fails bool
		want  int
		calls int
	}{
		{0, 1, false, 1, 1},
		{299, 2, false, 1, 1},
		{1, 2, false, 2, 2},
		{300, 3, true, 2, 3},  // the old one is used
		{59, 3, false, 2, 3},  // and the API isn't called every time
		{1, 3, false, 3, 4},   // again
		{300, 0, false, 0, 5}, // an empty list is a list
	} {
		r.at.Add(step.later)
		r.service.Set(running(step.n)...)
		if step.fails {
			r.service.Fail(denied)
		}
		list, err := listAll(t, r)
		if err != nil || len(list) != step.want || r.service.Calls() != step.calls {
			t.Errorf("step %d: %d instances after %d calls, want %d after %d; %v", i, len(list),
				r.service.Calls(), step.want, step.calls, err)
		}
	}
}

// A function has 15 seconds for everything.
func TestTheTimeoutCoversAllPagesAndTries(t *testing.T) {
	service := acrtest.New("id", acrKey, acrToken)
	service.Set(running(31)...)
	busy := acrtest.Fault{Status: 429, Code: "Throttling"}
	service.Fail(busy, busy)
	waits, begun := 0, time.Now()
	c := instance.FromACR(acrClientThat(t, service, func(ctx context.Context, _ time.Duration) error {
		waits++
		end, bounded := ctx.Deadline()
		if limit := begun.Add(5*time.Second + time.Minute); !bounded || end.After(limit) {
			t.Error("it may continue forever") // the minute is for a slow machine
		}
		return ctx.Err()
	}), "acme", instance.Options{})
	list, err := listAll(t, c)
	if err != nil || len(list) != 31 || waits != 2 {
		t.Errorf("got %d instances after %d waits, %v", len(list), waits, err)
	}
}
