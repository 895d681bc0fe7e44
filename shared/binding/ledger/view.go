package ledger

import (
	"bindery/shared/binding"
	"bindery/shared/problem"
)

// View returns a record as its account may see it. A status that has no problem in the record gets
// its problem here.
func (l *Ledger) View(rec binding.Record) binding.View {
	v := binding.View{Record: rec, Status: binding.StatusOf(rec, l.Now())}
	if platform, ok := l.Platforms.Get(rec.Platform); ok {
		v.Method = platform.Describe().Method
	}
	switch {
	case rec.Problem != nil:
	case v.Status == binding.StatusExpired:
		v.Record.Problem = problem.New(problem.TokenExpired).With("platform", l.Title(rec.Platform))
	case v.Status == binding.StatusUnknown:
		v.Record.Problem = problem.New(problem.NewerVersion)
	}
	return v
}
