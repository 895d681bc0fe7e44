package tabletest

import (
	"errors"
	"reflect"
	"sync"
	"time"

	"bindery/shared/table"
)

func rowPromises[T any](k kind[T]) []promise {
	var list []promise
	for _, p := range []struct {
		name  string
		check func(rows[T])
	}{
		{"NotThereIsErrNotFound", rowNotThere[T]},
		{"CreatedOnlyIfNotThere", rowCreated[T]},
		{"ReplacedOnlyInTheVersionRead", rowReplaced[T]},
		{"DeletedOnlyInTheVersionRead", rowDeleted[T]},
		{"VersionsNeverRepeat", rowVersions[T]},
		{"OneOfManyCreates", rowCreateRace[T]},
		{"OneOfManyReplaces", rowReplaceRace[T]},
		{"OneOfManyDeletes", rowDeleteRace[T]},
		{"KeepsEveryField", rowFields[T]},
		{"SharesNoMemory", rowMemory[T]},
		{"KeepsTimesOfOtherZones", rowZone[T]},
		{"DueOnlyWithADueAt", dueOrNot[T]},
		{"DueAtTheMomentItself", dueBoundary[T]},
		{"DueMovesWithDueAt", dueMoves[T]},
		{"DueLeavesWithTheRow", dueLeaves[T]},
		{"DueInAnyZone", dueZone[T]},
	} {
		list = append(list, promise{k.name + "/" + p.name, of(k, p.check)})
		if p.name == "SharesNoMemory" && k.due == nil {
			break // the rest is about times that such rows don't have
		}
	}
	return list
}

func rowNotThere[T any](r rows[T]) {
	r.wantNone("a row that never was", r.bare("1"))
	r.add(r.full("12", 1))
	r.wantNone("a row whose name begins another's", r.bare("1"))
}

func rowCreated[T any](r rows[T]) {
	missing := r.full("1", 1)
	r.remember(missing)
	r.wantConflicts("a row that isn't there", missing, table.NewVersion())
	r.wantNone("after the conflicts", missing)

	saved := r.add(missing)
	r.wantRow("a new row", saved)
	r.wantConflicts("with the version for no row, over a row", r.full("1", 2), "")
	r.wantRow("after the conflicts", saved)
}

func rowReplaced[T any](r rows[T]) {
	first := r.add(r.full("1", 1))
	next := r.full("1", 2)
	*r.version(&next) = *r.version(&first)
	second := r.replace(next)
	r.wantRow("a replaced row", second)

	other := r.full("1", 3)
	r.wantConflicts("with the version before", other, *r.version(&first))
	r.wantConflicts("with a version that never was", other, table.NewVersion())
	r.wantConflicts("with a version cut short", other, (*r.version(&second))[:1])
	r.wantRow("after the conflicts", second)

	bare := r.bare("1")
	*r.version(&bare) = *r.version(&second)
	r.wantRow("a row replaced by one with fewer fields", r.replace(bare))
}

func rowDeleted[T any](r rows[T]) {
	first := r.add(r.full("1", 1))
	neighbour := r.add(r.full("2", 2))
	second := r.replace(first)
	r.wantConflicts("with the version before", first, *r.version(&first))
	r.wantRow("after the conflicts", second)

	r.drop(second)
	r.wantNone("a deleted row", second)
	r.wantConflicts("a deleted row", second, *r.version(&second))
	r.wantNone("a deleted row after the conflicts", second)

	*r.version(&first) = ""
	third := r.replace(first)
	r.wantConflicts("with the version before the delete", third, *r.version(&second))
	r.wantRow("a row created again", third)
	r.wantRow("another row", neighbour)
}

func rowVersions[T any](r rows[T]) {
	seen := map[string]bool{}
	record := r.bare("1")
	r.remember(record)
	for i := range 16 {
		record = r.replace(record) // the same content each time
		if version := *r.version(&record); seen[version] {
			r.Fatalf("a version came twice, in save %d", i)
		}
		seen[*r.version(&record)] = true
		if i%5 == 4 {
			r.drop(record)
			*r.version(&record) = ""
		}
	}
}

// race lets as many go at once as the options say. One must win and the others get ErrConflict. It
// returns what the winner's call returned.
func race[T any](r rows[T], call func(i int) (T, error)) T {
	r.Helper()
	racers := r.options.AtOnce
	var (
		all   sync.WaitGroup
		start = make(chan struct{})
		got   = make([]T, racers)
		errs  = make([]error, racers)
	)
	for i := range racers {
		all.Go(func() {
			<-start
			got[i], errs[i] = call(i)
		})
	}
	close(start)
	all.Wait()

	winner, winners := 0, 0
	for i, err := range errs {
		switch {
		case err == nil:
			winner, winners = i, winners+1
		case !errors.Is(err, table.ErrConflict):
			r.Errorf("one of %d at once: got error %v, want %v", racers, err, table.ErrConflict)
		}
	}
	if winners != 1 {
		r.Fatalf("%d of %d at once won, want 1", winners, racers)
	}
	return got[winner]
}

func rowCreateRace[T any](r rows[T]) {
	r.remember(r.bare("1"))
	won := race(r, func(i int) (T, error) {
		return r.save(r.table, r.Context(), r.full("1", i))
	})
	r.wantRow("the row of the one that won", won)
}

func rowReplaceRace[T any](r rows[T]) {
	first := r.add(r.full("1", r.options.AtOnce))
	won := race(r, func(i int) (T, error) {
		record := r.full("1", i)
		*r.version(&record) = *r.version(&first)
		return r.save(r.table, r.Context(), record)
	})
	r.wantRow("the row of the one that won", won)
}

func rowDeleteRace[T any](r rows[T]) {
	first := r.add(r.full("1", 1))
	race(r, func(int) (T, error) { return first, r.delete(r.table, r.Context(), first) })
	r.wantNone("after one of many deletes", first)
}

func rowFields[T any](r rows[T]) {
	full := r.full("full", 1)
	value := reflect.ValueOf(full)
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if kept(field) && value.Field(i).IsZero() {
			r.Errorf("the test leaves %s empty", field.Name)
		}
	}
	r.wantRow("a row with every field set", r.add(full))
	r.wantRow("a row with nothing but a name", r.add(r.bare("bare")))
}

func rowZone[T any](r rows[T]) {
	record := r.bare("1")
	here := time.FixedZone("here", 8*3600)
	at := r.base.Add(123_456_789).In(here)
	*r.due(&record) = at
	r.remember(record)
	_, err := r.save(r.table, r.Context(), record)
	r.must(err)
	got, err := r.get(r.table, r.Context(), record)
	r.must(err)
	if !r.due(&got).Equal(at) {
		r.Errorf("a time of another zone: got %v, want the same moment as %v", *r.due(&got), at)
	}
}

func rowMemory[T any](r rows[T]) {
	given := r.full("1", 1)
	saved := r.add(given)
	want := r.full("1", 1)
	*r.version(&want) = *r.version(&saved)

	forget(given)
	r.wantRow("after the saved record was overwritten", want)
	forget(saved)
	r.wantRow("after the returned record was overwritten", want)
	got, err := r.get(r.table, r.Context(), want)
	r.must(err)
	forget(got)
	r.wantRow("after the record that was read was overwritten", want)
}
