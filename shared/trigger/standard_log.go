package trigger

import (
	"bytes"
	"io"
)

// StandardLog returns the output for package log, to which libraries write: w without the line in
// which net/http prints what a server has sent on an idle connection. A server at an address that a
// user typed could have the token printed that it was sent.
func StandardLog(w io.Writer) io.Writer { return standardLog{w} }

type standardLog struct{ io.Writer }

func (l standardLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("Unsolicited response received on idle HTTP channel")) {
		return len(line), nil
	}
	return l.Writer.Write(line)
}
