package binding_test

import (
	"testing"
	"time"

	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// wantFailing expects so many alarms, and of the last one that it is about both bindings of a
// platform and names the failure.
func (b *harness) wantFailing(when string, alarms int, name, what string) {
	b.Helper()
	lines := b.alarms("check_failing")
	testkit.Want(b, when+", alarms", len(lines), alarms)
	if len(lines) == 0 {
		return
	}
	testkit.Want(b, when+", the last alarm", lines[len(lines)-1],
		"alarm=check_failing host="+name+" problem="+what+" bindings=2")
}

// failForADay binds a platform twice, fails every check of it from the first one on, and expects an
// alarm at the end of each day.
func failForADay(t *testing.T, name, what string, fail func(*harness)) *harness {
	t.Helper()
	b := newHarness(t)
	b.shortenWaits()
	b.bound("i-1", name)
	b.bound("i-2", name)
	b.later(0)
	fail(b)
	b.later(timeToExpiry(name) + ledger.CheckInterval)
	for day := 1; day <= 2; day++ {
		for range 23 {
			b.later(maintenance.RetryCheckInterval)
			b.wantFailing("within the day", day-1, name, what)
		}
		b.later(maintenance.RetryCheckInterval)
		b.wantFailing("after a day", day, name, what)
	}
	return b
}

// TestADayOfTheSameRefusalAlarmsTheOperator: the platform refuses each refresh with a code that
// says nothing about the token.
func TestADayOfTheSameRefusalAlarmsTheOperator(t *testing.T) {
	each(t, consented, func(t *testing.T, name string) {
		b := failForADay(t, name, `"platform_error refused account_locked"`, func(b *harness) {
			b.answers(400, map[string]any{"error": "account_locked"})
		})
		b.around.Store(nil)
		b.later(maintenance.RetryCheckInterval)
		b.answers(400, map[string]any{"error": "account_locked"})
		b.later(timeToExpiry(name) + ledger.CheckInterval)
		for range 23 {
			b.later(maintenance.RetryCheckInterval)
		}
		testkit.Want(t, "alarms after a good check", len(b.alarms("check_failing")), 2)
	})
}

func TestADayWithoutThePlatformAlarmsTheOperator(t *testing.T) {
	each(t, []string{provider.Codeup, provider.GitHub}, func(t *testing.T, name string) {
		failForADay(t, name, "platform_unreachable", func(b *harness) {
			b.fault(name, sandbox.Fault{Kind: sandbox.FaultDrop})
		})
	})
}

func TestADayOfErrorsOfThePlatformAlarmsNoOperator(t *testing.T) {
	b := newHarness(t)
	b.bound("i-1", provider.Gitee)
	b.fault(provider.Gitee, sandbox.Fault{Kind: sandbox.Fault500})
	for range 3 * ledger.Day / time.Hour {
		b.later(maintenance.RetryCheckInterval)
	}
	testkit.Want(t, "alarms", len(b.alarms("check_failing")), 0)
}
