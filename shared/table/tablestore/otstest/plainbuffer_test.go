package otstest

import (
	"bytes"
	"reflect"
	"testing"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// vendors are a row and a key as the vendor's client writes them.
func vendors() (row, key, ends, deleted []byte) {
	primary := &sdk.PrimaryKey{}
	primary.AddPrimaryKeyColumn("pk", "键 1:a")
	primary.AddPrimaryKeyColumn("sk", int64(-7))
	change := &sdk.PutRowChange{PrimaryKey: primary}
	change.AddColumn("record", `{"a":"\u0000"}`+"\x00")
	change.AddColumn("dueShard", int64(1<<40))
	change.AddColumn("empty", "")
	span := &sdk.PrimaryKey{}
	span.AddPrimaryKeyColumnWithMinValue("pk")
	span.AddPrimaryKeyColumnWithMaxValue("sk")
	return change.Serialize(), primary.Build(false), span.Build(false), primary.Build(true)
}

// ours are the same.
func ours() []plainRow {
	key := []cell{{"pk", "键 1:a"}, {"sk", int64(-7)}}
	return []plainRow{
		{key: key, columns: []cell{
			{"record", `{"a":"\u0000"}` + "\x00"}, {"dueShard", int64(1 << 40)}, {"empty", ""},
		}},
		{key: key},
		{key: []cell{{"pk", lowest}, {"sk", highest}}},
		{key: key, deleted: true},
	}
}

func TestRowsAreWrittenAndReadAsTheVendorsClientWritesThem(t *testing.T) {
	row, key, ends, deleted := vendors()
	for i, theirs := range [][]byte{row, key, ends, deleted} {
		want := ours()[i]
		if got := write(want); !bytes.Equal(got, theirs) {
			t.Errorf("row %d is written as %x, want %x", i, got, theirs)
		}
		got, err := readRow(theirs)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("row %d is read as %v, error %v, want %v", i, got, err, want)
		}
	}
}

func TestABrokenRowIsRefused(t *testing.T) {
	row, _, _, _ := vendors()
	for i := range row {
		if _, err := readRow(row[:i]); err == nil {
			t.Errorf("cut after %d bytes: no error", i)
		}
		for bit := range 8 {
			broken := bytes.Clone(row)
			broken[i] ^= 1 << bit
			if _, err := readRow(broken); err == nil {
				t.Errorf("bit %d of byte %d turned: no error", bit, i)
			}
		}
	}
	if _, err := readRow(append(row, 0)); err == nil {
		t.Error("a byte too many: no error")
	}
}
