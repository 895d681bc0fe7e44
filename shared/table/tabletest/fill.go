package tabletest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"bindery/shared/table"
)

// filler sets every field that a record keeps, so that a field that is added later is tested too.
type filler struct {
	t    testing.TB
	next int64
}

// fill sets all of a record to values that differ from field to field and from seed to seed. The
// same seed gives the same values.
func fill[T any](t testing.TB, seed int) T {
	var record T
	f := filler{t, int64(seed) * 1000}
	f.set(reflect.ValueOf(&record).Elem())
	return record
}

func (f *filler) set(v reflect.Value) {
	f.next++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("文字 <\"%d\"> \\ ü\n", f.next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<53 + 1 + f.next) // more than a float holds
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.set(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.set(v.Index(0))
		f.set(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.set(key)
		f.set(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		f.setStruct(v)
	default:
		f.t.Fatalf("tabletest can't fill a %v", v.Type())
	}
}

func (f *filler) setStruct(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		// In UTC and with every digit: what isn't said to be whole milliseconds is kept as it is.
		v.Set(reflect.ValueOf(time.Unix(1_000_000_000+f.next, 123_456_789).UTC()))
		return
	}
	for i := range v.NumField() {
		if kept(v.Type().Field(i)) {
			f.set(v.Field(i))
		}
	}
	if v.Type() == reflect.TypeFor[table.Event]() {
		at := v.FieldByName("At").Addr().Interface().(*time.Time)
		*at = at.Truncate(time.Millisecond)
	}
}

// kept reports whether a table keeps the field as it is given. The table sets versions itself, and
// unknown fields and attributes come from a row only.
func kept(field reflect.StructField) bool {
	return field.IsExported() && field.Tag.Get("json") != "-"
}

// scramble overwrites everything that v points at.
func scramble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scramble(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			scramble(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			v.SetMapIndex(key, reflect.Zero(v.Type().Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scramble(v.Field(i))
			}
		}
		if v.CanSet() {
			v.SetZero()
		}
	default:
		if v.CanSet() {
			v.SetZero()
		}
	}
}

// forget overwrites everything that a value and its copies have in common.
func forget[T any](value T) { scramble(reflect.ValueOf(&value)) }
