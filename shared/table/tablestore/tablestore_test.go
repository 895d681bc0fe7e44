package tablestore

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/table"
	"bindery/shared/table/tabletest"
)

func TestConformance(t *testing.T) {
	opened := newHarness(t).table
	tabletest.Run(t, func(*testing.T) table.Table { return opened })
}

// The same promises where a page has few rows, however many are asked for.
func TestConformanceWithShortPages(t *testing.T) {
	w := newHarness(t)
	w.service.LongestPage(3)
	tabletest.Run(t, func(*testing.T) table.Table { return w.table })
}

// The same promises where the index catches up only while the suite waits for it.
func TestConformanceWithAnIndexThatLags(t *testing.T) {
	w := newHarness(t)
	w.service.Lag(true)
	tabletest.RunWith(t, tabletest.Options{Sleep: func(time.Duration) {
		w.service.Lag(false)
		w.service.Lag(true)
	}}, func(*testing.T) table.Table { return w.table })
}

// The same promises where reads of the index go to several copies, of which one is behind: now and
// then a page is empty, also during a sweep.
func TestConformanceWithAnIndexThatForgets(t *testing.T) {
	w := newHarness(t)
	tabletest.RunWith(t, tabletest.Options{
		AtOnce: 8, Patience: time.Second, Sleep: func(time.Duration) {}, Forgets: true,
	}, func(*testing.T) table.Table { return &forgetful{Table: w.table} })
}

type forgetful struct {
	table.Table
	pages atomic.Int64
}

func (f *forgetful) DueBefore(
	ctx context.Context, t time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	list, err := f.Table.DueBefore(ctx, t, cursor, limit)
	if f.pages.Add(1)%17 == 3 {
		list.Items = nil
	}
	return list, err
}
