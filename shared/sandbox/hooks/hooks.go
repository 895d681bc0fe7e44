// Package hooks sends the deliveries that the sandbox's platforms make, and keeps a log of them.
//
// Each repository has a queue, and its deliveries are posted one after the other. Deliveries can be
// dropped, doubled, held back and put in the wrong order, so that a test or a person sees what a
// receiver does then.
package hooks

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"bindery/shared/sandbox/platform"
)

// The bounds of a repository.
const (
	maxQueue = 10_000 // deliveries that wait; more are dropped
	maxLog   = 200    // deliveries in the log; older ones are forgotten
)

// timeout is how long a receiver may take to answer, as long as the platforms wait.
const timeout = 10 * time.Second

// Repository names a repository of a platform by its path.
type Repository struct {
	Platform platform.Name
	Path     string
}

// State is what has become of a delivery.
type State string

// The states.
const (
	Waiting  State = "waiting"
	Answered State = "answered"
	Failed   State = "failed" // there was no reply
	Dropped  State = "dropped"
)

// Delivery is a delivery in the log.
type Delivery struct {
	// Number counts all deliveries of the sandbox from 1. A redelivery has one of its own.
	Number     int
	Repository Repository
	Outgoing   platform.Outgoing
	State      State
	Status     int // of the last reply, 0 if there was none
	Tries      int
	At         time.Time // of the last try, or of what has happened instead
}

// Event returns the kind of the event as the platform's header names it.
func (d Delivery) Event() string {
	for _, name := range []string{
		"X-GitHub-Event", "X-Gitlab-Event", "X-Event-Key", "X-Gitee-Event", "X-Codeup-Event",
	} {
		if event := d.Outgoing.Header.Get(name); event != "" {
			return event
		}
	}
	return ""
}

// Sender posts deliveries. Its methods may be called by several goroutines at once.
type Sender struct {
	client *http.Client
	now    func() time.Time
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	idle     *sync.Cond // signalled when a queue becomes empty
	closed   bool
	last     int // number of the last delivery
	queues   map[Repository]*queue
	controls map[platform.Name]*control
}

// queue is what a repository has to deliver.
type queue struct {
	waiting []*job
	running bool
	log     []*job
}

// job is a delivery that is to be posted.
type job struct {
	Delivery
	done   func(status int)
	answer chan int // nil, or gets the status once
}

// New returns a sender that posts with a client, whose redirects and timeout are not used.
func New(client *http.Client, now func() time.Time) *Sender {
	own := *client
	own.Timeout = timeout
	own.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}
	s := &Sender{
		client: &own, now: now,
		queues: map[Repository]*queue{}, controls: map[platform.Name]*control{},
	}
	s.idle = sync.NewCond(&s.mu)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Send queues deliveries of a repository. After each has been answered or has failed for good, done
// is called with the webhook's id and the status, which is 0 if there was no reply. It is not
// called for a delivery that is dropped.
func (s *Sender) Send(
	r Repository, all []platform.Outgoing, done func(hook string, status int),
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, out := range all {
		report := func(status int) { done(out.Hook, status) }
		s.add(&job{Delivery: Delivery{Repository: r, Outgoing: out}, done: report})
	}
}

// Post is Send for one delivery that the controls don't affect. The channel gets the status, after
// done was called with it, and 0 if the delivery is dropped.
func (s *Sender) Post(
	r Repository, out platform.Outgoing, done func(hook string, status int),
) <-chan int {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := &job{
		Delivery: Delivery{Repository: r, Outgoing: out},
		done:     func(status int) { done(out.Hook, status) },
		answer:   make(chan int, 1),
	}
	s.enter(j)
	s.queue(j)
	return j.answer
}

// add queues a delivery as the controls of its platform say. Hold mu.
func (s *Sender) add(j *job) {
	c := s.control(j.Repository.Platform)
	s.enter(j)
	switch {
	case c.drop > 0:
		c.drop--
		s.drop(j)
	case c.hold:
		c.held = append(c.held, j)
	default:
		s.queue(j)
	}
	if c.double > 0 && j.State != Dropped {
		c.double--
		again := &job{Delivery: j.Delivery, done: j.done}
		s.enter(again)
		if c.hold {
			c.held = append(c.held, again)
		} else {
			s.queue(again)
		}
	}
}

// enter gives a delivery its number and puts it into the log. Hold mu.
func (s *Sender) enter(j *job) {
	s.last++
	j.Number, j.State, j.At = s.last, Waiting, s.now()
	q := s.queues[j.Repository]
	if q == nil {
		q = &queue{}
		s.queues[j.Repository] = q
	}
	if len(q.log) == maxLog {
		q.log = slices.Delete(q.log, 0, 1)
	}
	q.log = append(q.log, j)
}

// drop ends a delivery without sending it. Hold mu.
func (s *Sender) drop(j *job) {
	j.State, j.At = Dropped, s.now()
	if j.answer != nil {
		j.answer <- 0
	}
}

// queue lets a delivery be posted after those that wait already. Hold mu.
func (s *Sender) queue(j *job) {
	q := s.queues[j.Repository]
	if s.closed || len(q.waiting) >= maxQueue {
		s.drop(j)
		return
	}
	q.waiting = append(q.waiting, j)
	if !q.running {
		q.running = true
		go s.run(q)
	}
}

// run posts what waits in a queue until it is empty.
func (s *Sender) run(q *queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(q.waiting) > 0 {
		j := q.waiting[0]
		q.waiting = q.waiting[1:]
		out := j.Outgoing
		s.mu.Unlock()
		status, tries := s.post(out)
		j.done(status)
		if j.answer != nil {
			j.answer <- status
		}
		s.mu.Lock()
		j.Status, j.Tries, j.At, j.State = status, tries, s.now(), Answered
		if status == 0 {
			j.State = Failed
		}
	}
	q.running = false
	s.idle.Broadcast()
}

// post posts a delivery, and again at once after a 5xx as often as it says.
func (s *Sender) post(out platform.Outgoing) (status, tries int) {
	for tries = 1; ; tries++ {
		status = s.try(out, tries)
		if status < 500 || tries > out.Retries {
			return status, tries
		}
	}
}

// attempt is the header in which Bitbucket counts the tries of a delivery.
const attempt = "X-Attempt-Number"

// try posts a delivery once, and returns the status of the reply, 0 if there was none.
func (s *Sender) try(out platform.Outgoing, tries int) int {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, out.URL, bytes.NewReader(out.Body))
	if err != nil {
		return 0
	}
	r.Header = out.Header.Clone()
	if r.Header.Get(attempt) != "" {
		r.Header.Set(attempt, strconv.Itoa(tries))
	}
	response, err := s.client.Do(r)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode
}

// Wait returns when all deliveries are sent that are not held back.
func (s *Sender) Wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.busy() {
		s.idle.Wait()
	}
}

// busy reports whether a queue isn't empty. Hold mu.
func (s *Sender) busy() bool {
	for _, q := range s.queues {
		if q.running {
			return true
		}
	}
	return false
}

// Close drops what waits, ends what is being posted, and waits until it has ended. It may be called
// twice.
func (s *Sender) Close() {
	s.mu.Lock()
	s.closed = true
	for _, q := range s.queues {
		for _, j := range q.waiting {
			s.drop(j)
		}
		q.waiting = nil
	}
	s.mu.Unlock()
	s.cancel()
	s.Wait()
	s.client.CloseIdleConnections()
}
