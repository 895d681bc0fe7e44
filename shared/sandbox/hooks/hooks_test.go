package hooks

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

var hello = Repository{platform.GitHub, "alice/hello"}

// receiver answers deliveries on a socket and records them.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	answers  []int // the next ones; then 200
	bodies   []string
	attempts []string
	reports  []string // "hook status"
}

func newReceiver(t *testing.T, answers ...int) (*Sender, *receiver) {
	t.Helper()
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	s := New(r.Client(), testkit.NewClock().Now)
	t.Cleanup(s.Close)
	return s, r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	body, _ := io.ReadAll(in.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies = append(r.bodies, string(body))
	r.attempts = append(r.attempts, in.Header.Get("X-Attempt-Number"))
	if len(r.answers) > 0 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(r.answers[0])
		r.answers = r.answers[1:]
	}
}

func (r *receiver) report(hook string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reports = append(r.reports, fmt.Sprint(hook, " ", status))
}

// out returns a delivery with a body.
func (r *receiver) out(body string, retries int) platform.Outgoing {
	return platform.Outgoing{
		Hook: "7", URL: r.URL, Body: []byte(body), Retries: retries,
		Header: http.Header{"X-Attempt-Number": {"1"}, "X-Github-Event": {"push"}},
	}
}

// send sends a delivery for each body, and waits until they are posted.
func (r *receiver) send(s *Sender, bodies ...string) {
	for _, body := range bodies {
		s.Send(hello, []platform.Outgoing{r.out(body, 0)}, r.report)
	}
	s.Wait()
}

// states returns the states of the deliveries in the log.
func states(s *Sender) (all []State) {
	for _, d := range s.Log(hello) {
		all = append(all, d.State)
	}
	return all
}

func TestDeliveriesAreSentInOrderAndReported(t *testing.T) {
	s, r := newReceiver(t, 200, 404, 302)
	r.send(s, "a", "b", "c")
	testkit.WantEqual(t, "bodies", r.bodies, []string{"a", "b", "c"})
	testkit.WantEqual(t, "reports", r.reports, []string{"7 200", "7 404", "7 302"})
	got := s.Log(hello)[1]
	testkit.Want(t, "status", got.Status, 404)
	testkit.Want(t, "event", got.Event(), "push")
	testkit.Want(t, "time", got.At, testkit.NewClock().Now())
}

func TestA5xxIsRetriedAtOnceAsOftenAsThePlatformDoes(t *testing.T) {
	s, r := newReceiver(t, 500, 503, 500, 500, 404)
	s.Send(hello, []platform.Outgoing{r.out("a", 2), r.out("b", 2)}, r.report)
	s.Wait()
	testkit.WantEqual(t, "bodies", r.bodies, []string{"a", "a", "a", "b", "b"})
	testkit.WantEqual(t, "attempts", r.attempts, []string{"1", "2", "3", "1", "2"})
	testkit.WantEqual(t, "reports", r.reports, []string{"7 500", "7 404"})
	testkit.Want(t, "tries", s.Log(hello)[0].Tries, 3)
}

func TestAReceiverThatIsNotThereIsAFailure(t *testing.T) {
	s, r := newReceiver(t)
	out := r.out("a", 2)
	r.Close()
	s.Send(hello, []platform.Outgoing{out}, r.report)
	s.Wait()
	testkit.WantEqual(t, "reports", r.reports, []string{"7 0"})
	testkit.WantEqual(t, "states", states(s), []State{Failed})
}

func TestDeliveriesAreDroppedAndDoubled(t *testing.T) {
	s, r := newReceiver(t)
	s.Drop(platform.GitHub, 2)
	s.Drop(platform.GitLab, 9)
	s.Double(platform.GitHub, 1)
	r.send(s, "a", "b", "c", "d")
	testkit.WantEqual(t, "bodies", r.bodies, []string{"c", "c", "d"})
	testkit.WantEqual(t, "states", states(s), []State{Dropped, Dropped, Answered, Answered, Answered})
	testkit.WantEqual(t, "reports", len(r.reports), 3)
	testkit.Want(t, "redelivered", s.Redeliver(s.Log(hello)[0].Number), true)
	testkit.Want(t, "an unknown one", s.Redeliver(99), false)
	s.Wait()
	testkit.Want(t, "the dropped one", r.bodies[3], "a")
}

func TestDeliveriesAreHeldBackAndReleasedInReverse(t *testing.T) {
	s, r := newReceiver(t)
	s.Hold(platform.GitHub)
	r.send(s, "a", "b", "c")
	testkit.Want(t, "sent", len(r.bodies), 0)
	testkit.Want(t, "held", s.Controls(platform.GitHub), Controls{Hold: true, Held: 3})
	s.Release(platform.GitHub)
	r.send(s, "d")
	testkit.WantEqual(t, "bodies", r.bodies, []string{"c", "b", "a", "d"})
	testkit.Want(t, "afterwards", s.Controls(platform.GitHub), Controls{})
}

func TestAPostedDeliveryIsAnsweredAtOnceWhateverTheControls(t *testing.T) {
	s, r := newReceiver(t, 418)
	s.Drop(platform.GitHub, 1)
	s.Hold(platform.GitHub)
	testkit.Want(t, "status", <-s.Post(hello, r.out("a", 0), r.report), 418)
	testkit.WantEqual(t, "reports", r.reports, []string{"7 418"})
	s.Close()
	testkit.Want(t, "closed", <-s.Post(hello, r.out("b", 0), r.report), 0)
	testkit.WantEqual(t, "bodies", r.bodies, []string{"a"})
}

func TestTheLogIsBounded(t *testing.T) {
	s, r := newReceiver(t)
	for i := range maxLog + 5 {
		s.Send(hello, []platform.Outgoing{r.out(fmt.Sprint(i), 0)}, r.report)
	}
	s.Wait()
	testkit.Want(t, "sent", len(r.bodies), maxLog+5)
	testkit.Want(t, "logged", len(s.Log(hello)), maxLog)
	testkit.Want(t, "the oldest", string(s.Log(hello)[0].Outgoing.Body), "5")
}

func TestManyRepositoriesDeliverSideBySide(t *testing.T) {
	s, r := newReceiver(t)
	for i := range 200 {
		repository := Repository{platform.GitHub, fmt.Sprint("many/", i%20)}
		s.Send(repository, []platform.Outgoing{r.out(fmt.Sprint(i%20, ":", i), 0)}, r.report)
	}
	s.Wait()
	testkit.Want(t, "sent", len(r.bodies), 200)
	for i := range 20 {
		var got, want []string
		for _, d := range s.Log(Repository{platform.GitHub, fmt.Sprint("many/", i)}) {
			want = append(want, string(d.Outgoing.Body))
		}
		for _, body := range r.bodies {
			if slices.Contains(want, body) {
				got = append(got, body)
			}
		}
		testkit.WantEqual(t, "order", got, want)
	}
}

func TestCloseEndsWhatIsBeingSent(t *testing.T) {
	arrived, release := make(chan bool), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- true
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	s := New(server.Client(), testkit.NewClock().Now)
	out := platform.Outgoing{URL: server.URL}
	s.Send(hello, []platform.Outgoing{out, out}, func(string, int) {})
	<-arrived
	s.Close()
	s.Close()
	testkit.WantEqual(t, "states", states(s), []State{Failed, Dropped})
}
