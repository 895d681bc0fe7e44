package tablestore

import (
	"testing"
	"time"

	"bindery/shared/table"
	"bindery/shared/table/tabletest"
)

func TestConformance(t *testing.T) {
	opened := newWorld(t).table
	tabletest.Run(t, func(*testing.T) table.Table { return opened })
}

// The same promises where a page has few rows, however many are asked for.
func TestConformanceWithShortPages(t *testing.T) {
	w := newWorld(t)
	w.service.LongestPage(3)
	tabletest.Run(t, func(*testing.T) table.Table { return w.table })
}

// The same promises where the index is always behind, a few milliseconds.
func TestConformanceWithAnIndexThatLags(t *testing.T) {
	w := newWorld(t)
	w.service.Lag(true)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				w.service.Lag(false)
				w.service.Lag(true)
			}
		}
	}()
	defer func() {
		close(stop)
		<-done
	}()
	tabletest.Run(t, func(*testing.T) table.Table { return w.table })
}
