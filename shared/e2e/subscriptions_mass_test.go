package e2e_test

import (
	"crypto/rand"
	"fmt"
	random "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

const (
	massRepositories = 10 // of each platform
	massPushes       = 20 // to each repository
	massSyncs        = 7  // pushes between two syncs
	massKills        = 10
	massSeed         = 14
	// outage is for how long Bindery is away when it is killed, by what it has stored: longer than a
	// claim, a lease, and the pauses of some failed tries.
	outage = 4 * time.Minute
)

var allPlatforms = []sandbox.Platform{
	sandbox.Codeup, sandbox.Gitee, sandbox.GitHub, sandbox.GitLab, sandbox.Bitbucket,
}

// mass is many pushes to many repositories of all platforms.
type mass struct {
	t            *testing.T
	box          *sandbox.Sandbox
	laptop       *killedLaptop
	repositories []*massRepository
	random       *random.Rand // of the main goroutine

	failing atomic.Bool // the receiver answers 500
	failed  atomic.Int64
	journal journal
	slow    func(sourceEvent)
}

// massRepository is one repository with a subscription, and what was true in it.
type massRepository struct {
	platform  sandbox.Platform
	path, url string  // in the sandbox; the address for git
	one       string  // its path in the API
	git       *pusher // nil: the platform's site makes the commits
	random    *random.Rand
	history   map[string][]string // the heads of each ref since the subscription, "" for none
	stayed    []stay
}

// TestAThousandPushesAreForwardedThroughLostDeliveriesAndKills disturbs everything at once: the
// platforms lose, double and reorder deliveries, the receiver fails for longer than a minute, and
// Bindery's process is killed at random moments. The disturbances are by a fixed seed, counted in
// pushes.
func TestAThousandPushesAreForwardedThroughLostDeliveriesAndKills(t *testing.T) {
	testkit.Program(t, "git")
	began := time.Now()
	m := newMass(t, nil)
	m.subscribe(allPlatforms...)
	t.Logf("%d subscriptions after %v", len(m.repositories), time.Since(began))
	m.push()
	t.Logf("%d pushes, %d kills after %v", massPushes*len(m.repositories), m.laptop.kills,
		time.Since(began))
	m.settle()
	stayed, overtaken, heads := 0, 0, 0
	for _, r := range m.repositories {
		stayed += len(r.stayed)
		for _, history := range r.history {
			heads += len(history)
		}
		told := m.journal.of(r.url)
		r.check(t, told)
		overtaken += m.checkStayed(r, told)
	}
	t.Logf("%d heads, %d of them over a sync, of which late deliveries have overtaken %d; %d events "+
		"with an id of their own, %d were sent again; the receiver has refused %d; %v", heads, stayed,
		overtaken, len(m.journal.all), m.journal.again, m.failed.Load(), time.Since(began))
}

// newMass starts the sandbox, a receiver and Bindery. slow is nil, or delays the receiver's
// answers.
func newMass(t *testing.T, slow func(sourceEvent)) *mass {
	t.Helper()
	m := &mass{t: t, random: random.New(random.NewPCG(massSeed, 0)), slow: slow}
	server := httptest.NewUnstartedServer(nil)
	host := server.Listener.Addr().String()
	m.box = sandbox.New(sandbox.Options{
		Now: time.Now, Random: rand.Reader, URL: "http://" + host,
	})
	server.Config.Handler = m.box
	server.Start()
	t.Cleanup(func() { m.box.Close(); server.Close() })
	settings := []string{
		"BINDERY_PRIVATE_HOSTS=" + host,
		"BINDERY_EVENTS_URL=" + receive(t, m.take), "BINDERY_EVENTS_SECRET=" + eventsSecret,
	}
	for _, name := range []string{"GITHUB", "GITEE", "BITBUCKET", "CODEUP"} {
		settings = append(settings, "BINDERY_"+name+"_URL="+server.URL,
			"BINDERY_"+name+"_API_URL="+server.URL)
	}
	m.laptop = newKilledLaptop(t, settings...)
	m.laptop.client.sandbox = server.URL
	for platform, app := range m.box.Apps() {
		app.RedirectURI = m.laptop.client.own + "/v1/callback/" + string(platform)
		m.box.AddApp(platform, app)
	}
	return m
}

// take receives an event, or fails.
func (m *mass) take(e sourceEvent) int {
	if m.failing.Load() {
		m.failed.Add(1)
		return http.StatusInternalServerError
	}
	m.journal.add(e)
	if m.slow != nil {
		m.slow(e)
	}
	return http.StatusNoContent
}

// subscribe binds platforms and subscribes to some repositories of each.
func (m *mass) subscribe(platforms ...sandbox.Platform) {
	m.t.Helper()
	c := m.laptop.client
	for _, name := range platforms {
		m.box.SetSwitch(name, "many-repositories", true)
		c.bind(name)
		list := laptopBindings + string(name) + "/repositories"
		page := c.call(http.MethodGet, list+"?search=service-001", nil, http.StatusOK)
		found, _ := page.body["repositories"].([]any)
		if len(found) < massRepositories {
			m.t.Fatalf("%s has %d repositories: %.500s", name, len(found), page.text)
		}
		for _, f := range found[:massRepositories] {
			r := &massRepository{
				platform: name, one: list + "/" + in(f, "key").(string), url: in(f, "url").(string),
				random:  random.New(random.NewPCG(massSeed, uint64(len(m.repositories)+1))),
				history: map[string][]string{},
			}
			r.path = sandboxPath(m.t, name, r.url)
			if len(m.repositories)%massRepositories == 0 {
				r.git = &pusher{m.t, c.clone(r.url)}
			}
			m.repositories = append(m.repositories, r)
			m.put(r)
		}
	}
}

// put subscribes to a repository.
func (m *mass) put(r *massRepository) {
	m.t.Helper()
	got, err := m.laptop.call(r.user(), http.MethodPut, r.one+"/subscription",
		object{"events": []string{"push", "tag"}})
	if err != nil || got.status != http.StatusCreated || got.body["health"] != "active" {
		m.t.Fatalf("%s %s: %v %s", r.platform, r.path, err, got.text)
	}
}

// user returns who calls the API for a repository: a user may make a few calls a minute.
func (r *massRepository) user() string {
	return string(r.platform) + "-" + strings.ReplaceAll(r.path, "/", "-")
}

// sandboxPath returns the path of a repository in the sandbox from its address for git.
func sandboxPath(t *testing.T, name sandbox.Platform, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := url.Parse(sandbox.PushURL("http://host", name, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	prefix := strings.TrimSuffix(folder.Path, ".git")
	return strings.TrimSuffix(strings.TrimPrefix(u.Path, prefix), ".git")
}

// push pushes to all repositories at once, and disturbs.
func (m *mass) push() {
	m.t.Helper()
	pushed := make(chan struct{}, massPushes*len(m.repositories))
	var working sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, r := range m.repositories {
		working.Go(func() { m.pushTo(r, slots, pushed) })
	}
	go func() { working.Wait(); close(pushed) }()
	total := massPushes * len(m.repositories)
	kills := map[int]bool{}
	for len(kills) < massKills {
		kills[total/20+m.random.IntN(total*9/10)] = true
	}
	n := 0
	for range pushed {
		n++
		m.disturb(n, total)
		if kills[n] {
			m.laptop.kill(outage)
		}
	}
	if n != total {
		m.t.Fatalf("there were %d pushes, want %d", n, total)
	}
}

// disturb disturbs the platforms and the receiver after so many pushes.
func (m *mass) disturb(n, total int) {
	name := allPlatforms[m.random.IntN(len(allPlatforms))]
	switch n % 20 {
	case 3:
		m.box.DropDeliveries(name, 3)
	case 7, 13:
		m.box.DoubleDeliveries(name, 4)
	case 9:
		m.box.HoldDeliveries(name)
	case 19:
		for _, held := range allPlatforms {
			m.box.ReleaseDeliveries(held) // the last one first
		}
	}
	switch n {
	case total * 3 / 10:
		m.failing.Store(true)
	case total * 5 / 10:
		m.failing.Store(false)
	}
}

// pushTo pushes to one repository, and syncs its subscription from time to time.
func (m *mass) pushTo(r *massRepository, slots, pushed chan struct{}) {
	for i := range massPushes {
		slots <- struct{}{}
		err := m.pushOnce(r, i)
		if err == nil && i%massSyncs == massSyncs-1 {
			_, err = m.sync(r)
		}
		<-slots
		if err != nil {
			m.t.Errorf("%s %s: %v", r.platform, r.path, err)
			return
		}
		pushed <- struct{}{}
	}
}

func (m *mass) pushOnce(r *massRepository, i int) error {
	if r.git != nil {
		r.pushByGit(i)
		return nil
	}
	branch := "main"
	if r.random.IntN(4) == 0 {
		branch = "release/1"
	}
	commit, err := m.box.PushCommit(m.t.Context(), r.platform, r.path, branch,
		fmt.Sprint("Change ", i), "alice")
	r.moved("refs/heads/"+branch, commit)
	return err
}

// sync syncs a subscription and notes the heads that it must have seen. A sync that a kill has
// ended holds the subscription until its claim ends.
func (m *mass) sync(r *massRepository) (synced bool, err error) {
	began := time.Now()
	got, err := m.laptop.call(r.user(), http.MethodPost, r.one+"/subscription/sync", nil)
	switch {
	case err != nil:
		return false, err
	case got.status == http.StatusConflict, got.status >= 500:
		return false, nil
	case got.status != http.StatusOK || got.body["health"] == "broken":
		return false, fmt.Errorf("the sync answers %d: %s", got.status, got.text)
	}
	for ref, history := range r.history {
		r.stayed = append(r.stayed, stay{
			refCommit{ref, history[len(history)-1]}, began, time.Now(),
		})
	}
	return true, nil
}

// settle ends the disturbances, and waits until no event waits.
func (m *mass) settle() {
	m.t.Helper()
	for _, name := range allPlatforms {
		m.box.DropDeliveries(name, 0)
		m.box.DoubleDeliveries(name, 0)
		m.box.ReleaseDeliveries(name)
	}
	m.box.WaitForDeliveries()
	m.laptop.kill(outage) // what the last kill has left is free
	var group errgroup.Group
	group.SetLimit(8)
	for _, r := range m.repositories {
		group.Go(func() error {
			synced, err := m.sync(r)
			if err == nil && !synced {
				err = fmt.Errorf("%s %s: the last sync was refused", r.platform, r.path)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		m.t.Fatal(err)
	}
	for range 3 {
		m.laptop.client.call(http.MethodPost, "/dev/task", object{"name": "subscriptions"},
			http.StatusOK)
		if m.waiting() == 0 {
			return
		}
		m.laptop.kill(outage)
	}
	m.t.Errorf("%d events wait at the end", m.waiting())
}

// waiting returns how many events wait for the receiver.
func (m *mass) waiting() (n int) {
	for _, r := range m.repositories {
		got, err := m.laptop.call(r.user(), http.MethodGet, r.one+"/subscription", nil)
		waiting, known := got.body["waiting"].(float64)
		if err != nil || !known {
			m.t.Fatalf("%s %s: %v %s", r.platform, r.path, err, got.text)
		}
		n += int(waiting)
	}
	return n
}
