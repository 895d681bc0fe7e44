package bolt

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// write writes an entry as it is.
func write(t *testing.T, opened *Table, bucket, key, value string) {
	t.Helper()
	err := opened.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func stored(t *testing.T, opened *Table, bucket, key string) (value string) {
	t.Helper()
	err := opened.db.View(func(tx *bbolt.Tx) error {
		value = string(tx.Bucket([]byte(bucket)).Get([]byte(key)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A file that format 1 wrote is read, and what is written is where format 1 looks for it.
func TestTheLayoutIsWhatItAlwaysWas(t *testing.T) {
	opened, ctx := open(t), t.Context()
	k := binding.Key{Account: "acme", Region: "cn-1", Instance: "i", Platform: "github"}
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	const (
		bindingKey = "4:acme4:cn-11:i6:github"
		dueKey     = "2001-02-03T04:05:06.000000000Z7:binding" + bindingKey
		dueEntry   = `{"At":"2001-02-03T04:05:06Z","Binding":{"account":"acme","region":"cn-1",` +
			`"instance":"i","platform":"github"},"Authorization":""}`
	)
	write(t, opened, bindingsBucket, bindingKey, `{"version":"v1","record":{"account":"acme",`+
		`"region":"cn-1","instance":"i","platform":"github","stamp":"s","method":"token",`+
		`"dueAt":"2001-02-03T04:05:06Z"},"newer":[1]}`)
	write(t, opened, dueBucket, dueKey, dueEntry)
	write(t, opened, dueBucket, "2001-02-03T04:05:06.000000000Z12:subscription1:1",
		`{"At":"2001-02-03T04:05:06Z"}`)
	write(t, opened, dueBucket, "2001-02-03T04:05:06.000000000Z4:note1:1",
		`{"At":"2001-02-03T04:05:06Z","Note":"1"}`)

	b, err := opened.Binding(ctx, k)
	if err != nil || b.Version != "v1" || b.Revision != "s" || !b.DueAt.Equal(at) {
		t.Fatalf("got %+v, error %v", b, err)
	}
	due, err := opened.DueBefore(ctx, at, "", 10)
	if want := (table.DueEntry{At: at, Binding: k}); err != nil || len(due.Items) != 1 ||
		due.Items[0] != want {
		t.Errorf("due: got %v, error %v, want %v", due.Items, err, want)
	}
	b.DueAt = at.Add(time.Hour)
	if b, err = opened.SaveBinding(ctx, b); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, opened, dueBucket, dueKey); got != "" {
		t.Errorf("the entry of before is still there: %s", got)
	}
	want := `{"format":2,"newer":[1],"record":{"account":"acme","region":"cn-1","instance":"i",` +
		`"platform":"github","stamp":"s","method":"token","dueAt":"2001-02-03T05:05:06Z"},` +
		`"version":"` + b.Version + `"}`
	if got := stored(t, opened, bindingsBucket, bindingKey); got != want {
		t.Errorf("the binding is\n%s, want\n%s", got, want)
	}
	b.DueAt = at
	if _, err = opened.SaveBinding(ctx, b); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, opened, dueBucket, dueKey); got != dueEntry {
		t.Errorf("the entry of what is due is\n%s, want\n%s", got, dueEntry)
	}
	checkOthers(t, opened, k, at)
}

func checkOthers(t *testing.T, opened *Table, k binding.Key, at time.Time) {
	t.Helper()
	ctx, of := t.Context(), binding.IdentityKey{Platform: "github", ID: "7"}
	attempt := binding.Authorization{ID: "id", DueAt: at}
	if _, err := opened.SaveAuthorization(ctx, attempt); err != nil {
		t.Fatal(err)
	}
	for _, e := range []binding.IdentityEntry{
		{Of: of, Binding: k, At: at}, {Of: of, Authorization: "id", At: at},
	} {
		if err := opened.SaveIdentityEntry(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	checkSubscriptions(t, opened, k, at)
	e := binding.Event{ID: "x", Number: 1, At: at}
	if err := opened.AppendHistory(ctx, k, []binding.Event{e}); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][2]string{
		{authorizationsBucket, "2:id"},
		{dueBucket, "2001-02-03T04:05:06.000000000Z13:authorization2:id"},
		{holdersBucket, "6:github0:1:77:binding4:acme4:cn-11:i6:github"},
		{holdersBucket, "6:github0:1:713:authorization2:id"},
		{historyBucket, "4:acme4:cn-11:i6:github" + e.Position()},
	} {
		if stored(t, opened, want[0], want[1]) == "" {
			t.Errorf("the bucket %s has no %q", want[0], want[1])
		}
	}
}

func checkSubscriptions(t *testing.T, opened *Table, k binding.Key, at time.Time) {
	t.Helper()
	ctx := t.Context()
	_, err := opened.SaveSubscription(ctx, binding.Subscription{ID: "id", DueAt: at})
	_, err2 := opened.SaveSubscriptionEntry(ctx, binding.SubscriptionEntry{
		Binding: k, RepositoryID: "7",
	})
	err3 := opened.AppendLog(ctx, "id", []binding.SourceEvent{{Number: binding.MaxLogged + 7}})
	_, err4 := opened.SaveSubscriptionHeads(ctx, binding.Heads{Subscription: "id"})
	_, err5 := opened.SaveRunLease(ctx, binding.RunLease{Schedule: "id"})
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][2]string{
		{subscriptionsBucket, "2:id"},
		{subscribedBucket, "4:acme4:cn-11:i6:github1:7"},
		{sourceBucket, "2:id0007"},
		{headsBucket, "2:id"},
		{leasesBucket, "2:id"},
	} {
		if stored(t, opened, want[0], want[1]) == "" {
			t.Errorf("the bucket %s has no %q", want[0], want[1])
		}
	}
	due, err := opened.DueBefore(ctx, at.AddDate(1, 0, 0), "", 10)
	if err != nil || len(due.Items) != 2 {
		t.Errorf("due: got %v, error %v, want the authorization and the binding", due.Items, err)
	}
	const dueKey = "2001-02-03T04:05:06.000000000Z12:subscription2:id"
	err = opened.db.View(func(tx *bbolt.Tx) error {
		if key, _ := tx.Bucket([]byte(dueSubscriptionsBucket)).Cursor().First(); string(key) != dueKey {
			t.Errorf("the subscription that is due has the key %q, want %q", key, dueKey)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
