package otstest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// PlainBuffer is the format in which the service writes rows: tags, lengths in little-endian, and a
// checksum for each cell and row. See the service's page "PlainBuffer".
const plainHeader = 0x75

// The tags.
const (
	tagKey          = 0x01
	tagData         = 0x02
	tagCell         = 0x03
	tagName         = 0x04
	tagValue        = 0x05
	tagDeleted      = 0x08
	tagRowChecksum  = 0x09
	tagCellChecksum = 0x0A
)

// The types of values.
const (
	typeInteger = 0x00
	typeText    = 0x03
	typeLowest  = 0x09
	typeHighest = 0x0A
)

// value is a column's: an int64, a string, or one of the two ends of a range.
type value any

type end byte

const (
	lowest  end = typeLowest
	highest end = typeHighest
)

type cell struct {
	name  string
	value value
}

// plainRow is a row, or only a key.
type plainRow struct {
	key, columns []cell
	deleted      bool
}

// crc8 is the checksum, with the polynomial x^8 + x^2 + x + 1.
func crc8(sum byte, text ...byte) byte {
	for _, b := range text {
		sum ^= b
		for range 8 {
			if sum&0x80 != 0 {
				sum = sum<<1 ^ 0x07
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

func little32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func (c cell) sum() byte {
	sum := crc8(0, []byte(c.name)...)
	switch v := c.value.(type) {
	case int64:
		sum = crc8(sum, typeInteger)
		sum = crc8(sum, binary.LittleEndian.AppendUint64(nil, uint64(v))...)
	case string:
		sum = crc8(sum, typeText)
		sum = crc8(crc8(sum, little32(len(v))...), []byte(v)...)
	case end:
		sum = crc8(sum, byte(v))
	}
	return sum
}

func (r plainRow) sum() byte {
	var sum byte
	for _, cells := range [][]cell{r.key, r.columns} {
		for _, c := range cells {
			sum = crc8(sum, c.sum())
		}
	}
	if r.deleted {
		return crc8(sum, 1)
	}
	return crc8(sum, 0)
}

// bare is a value without a tag or a length, as a condition holds it.
func bare(v value) []byte {
	switch v := v.(type) {
	case int64:
		return binary.LittleEndian.AppendUint64([]byte{typeInteger}, uint64(v))
	case string:
		return append(append([]byte{typeText}, little32(len(v))...), v...)
	case end:
		return []byte{byte(v)}
	}
	panic(fmt.Sprintf("otstest writes no %T", v))
}

func (c cell) append(to []byte) []byte {
	to = append(append(append(to, tagCell, tagName), little32(len(c.name))...), c.name...)
	written := bare(c.value)
	to = append(append(append(to, tagValue), little32(len(written))...), written...)
	return append(to, tagCellChecksum, c.sum())
}

// write writes rows, one behind the other; nothing for none.
func write(rows ...plainRow) []byte {
	if len(rows) == 0 {
		return nil
	}
	to := little32(plainHeader)
	for _, r := range rows {
		to = append(to, tagKey)
		for _, c := range r.key {
			to = c.append(to)
		}
		if len(r.columns) > 0 {
			to = append(to, tagData)
		}
		for _, c := range r.columns {
			to = c.append(to)
		}
		if r.deleted {
			to = append(to, tagDeleted)
		}
		to = append(to, tagRowChecksum, r.sum())
	}
	return to
}

var errPlain = errors.New("the row isn't what a row looks like")

// reader reads a row. It panics with errPlain, which [readRow] returns.
type reader struct{ rest []byte }

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		panic(errPlain)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) number() int { return int(int32(binary.LittleEndian.Uint32(r.take(4)))) }

// next takes the byte if it is next.
func (r *reader) next(tag byte) bool {
	if len(r.rest) == 0 || r.rest[0] != tag {
		return false
	}
	r.take(1)
	return true
}

func (r *reader) must(held bool) {
	if !held {
		panic(errPlain)
	}
}

// bare reads what the function bare writes.
func (r *reader) bare() value {
	switch kind := r.take(1)[0]; kind {
	case typeInteger:
		return int64(binary.LittleEndian.Uint64(r.take(8)))
	case typeText:
		return string(r.take(r.number()))
	case typeLowest, typeHighest:
		return end(kind)
	}
	panic(errPlain)
}

func (r *reader) cells() (cells []cell) {
	for r.next(tagCell) {
		var c cell
		r.must(r.next(tagName))
		c.name = string(r.take(r.number()))
		r.must(r.next(tagValue))
		length, before := r.number(), len(r.rest)
		c.value = r.bare()
		r.must(length == before-len(r.rest))
		r.must(r.next(tagCellChecksum) && r.take(1)[0] == c.sum())
		cells = append(cells, c)
	}
	return cells
}

// readRow reads one row, and checks its checksums.
func readRow(text []byte) (row plainRow, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p != errPlain {
				panic(p)
			}
			err = errPlain
		}
	}()
	r := &reader{text}
	r.must(r.number() == plainHeader && r.next(tagKey))
	row.key = r.cells()
	if r.next(tagData) {
		row.columns = r.cells()
	}
	row.deleted = r.next(tagDeleted)
	r.must(r.next(tagRowChecksum) && r.take(1)[0] == row.sum() && len(r.rest) == 0)
	return row, nil
}
