package testkit_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// recorder counts the errors that an expectation reports, and how often the test is skipped.
type recorder struct {
	testing.TB
	errors, skips int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }
func (r *recorder) Skip(...any)           { r.skips++ }

func TestAnExpectationReportsOnlyWhatDiffers(t *testing.T) {
	wrapped := fmt.Errorf("binding: %w", problem.New(problem.InputMalformed).Because("too_long"))
	for name, c := range map[string]struct {
		expect func(t testing.TB)
		errors int
	}{
		"equal":     {func(t testing.TB) { testkit.Want(t, "n", 1, 1) }, 0},
		"different": {func(t testing.TB) { testkit.Want(t, "n", 1, 2) }, 1},
		"equal lists": {func(t testing.TB) {
			testkit.WantEqual(t, "list", []int{1}, []int{1})
		}, 0},
		"different lists": {func(t testing.TB) {
			testkit.WantEqual(t, "list", []int{1}, []int{2})
		}, 1},
		"the problem": {func(t testing.TB) {
			testkit.WantProblem(t, "bind", wrapped, problem.InputMalformed, "too_long")
		}, 0},
		"another reason": {func(t testing.TB) {
			testkit.WantProblem(t, "bind", wrapped, problem.InputMalformed, "")
		}, 1},
		"another code": {func(t testing.TB) {
			testkit.WantProblem(t, "bind", wrapped, problem.Internal, "too_long")
		}, 1},
		"no problem": {func(t testing.TB) {
			testkit.WantProblem(t, "bind", errors.New("x"), problem.InputMalformed, "")
		}, 1},
		"the code": {func(t testing.TB) {
			testkit.WantCode(t, "bind", wrapped, problem.InputMalformed)
		}, 0},
		"only another code": {func(t testing.TB) {
			testkit.WantCode(t, "bind", wrapped, problem.Internal)
		}, 1},
	} {
		r := &recorder{}
		c.expect(r)
		testkit.Want(t, name, r.errors, c.errors)
	}
}

func TestWhatIsMissingIsNotedAndNothingElse(t *testing.T) {
	t.Setenv("BINDERY_TEST_REQUIRE", "")
	path := filepath.Join(t.TempDir(), "skipped")
	t.Setenv("BINDERY_TEST_SKIPPED", path)
	r := &recorder{}
	for range 2 {
		testkit.Program(r, "no-such-program")
	}
	testkit.Want(t, "skipped", r.skips, 2)
	noted, err := os.ReadFile(path)
	const line = "no-such-program\tapt-get install no-such-program\n"
	testkit.Want(t, "error", err, nil)
	testkit.Want(t, "noted", string(noted), line+line)
}

func TestTheClockMovesOnlyByAdvance(t *testing.T) {
	c := testkit.NewClock()
	start := c.Now()
	testkit.Want(t, "at first", c.Now(), start)
	c.Advance(time.Hour)
	testkit.Want(t, "an hour later", c.Now(), start.Add(time.Hour))
	c.Advance(-2 * time.Hour)
	testkit.Want(t, "moved back", c.Now(), start.Add(-time.Hour))
}

func TestALogReturnsItsRecordsByMessage(t *testing.T) {
	var l testkit.Log
	l.Logger().Debug("one", "n", 1)
	l.Logger().Error("two")
	l.Logger().Info("one", "n", 2)
	found := l.Records(t, "one")
	testkit.Want(t, "records", len(found), 2)
	testkit.Want(t, "the first one's n", found[0]["n"], any(1.0))
	testkit.Want(t, "the second one's n", found[1]["n"], any(2.0))
}

func TestRecordsSkipLinesOfTheRuntime(t *testing.T) {
	log := "FC Invoke Start RequestId: 1\n{\"msg\":\"one\"}\n[1]\n"
	testkit.Want(t, "records", len(testkit.Records(log, "one")), 1)
}
