package storagetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// fill gives everything that v consists of a value of its own.
func fill(v reflect.Value, name string, n *int) {
	*n++
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2100, 1, 1, 0, *n, 0, *n*1e6, time.UTC)))
		return
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes(fmt.Appendf(nil, `{"%s":[%d]}`, name, *n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("%s %d é𝄞", name, *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Interface:
		v.Set(reflect.ValueOf(fmt.Sprint(name, " ", *n)))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(v.Index(i), name, n)
		}
	case reflect.Map:
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, name, n)
		fill(elem, name, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, elem)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(v.Field(i), f.Name, n)
			}
		}
	}
}

// scribble overwrites everything that can be reached through v, as an owner may who
// uses the memory again.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scribble(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			scribble(v.Index(i))
		}
	case reflect.Map:
		v.Clear()
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scribble(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString("scribbled over")
	case reflect.Uint8:
		v.SetUint(^v.Uint() & 0xff)
	default:
		v.SetZero()
	}
}

// same returns an error that names the first field in which got differs from want. A
// time is the same in every zone. An empty slice is as good as nil if its JSON tag says
// omitempty, so that a storage may keep records as JSON; other fields tell the two apart.
func same[T any](got, want *T) error {
	if got == nil {
		return errors.New("got nil and no error")
	}
	return differ(reflect.TypeFor[T]().Name(), reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem())
}

func differ(path string, got, want reflect.Value) error {
	if g, ok := reflect.TypeAssert[time.Time](got); ok {
		if w := want.Interface().(time.Time); !g.Equal(w) {
			return fmt.Errorf("%s is %v, want %v", path, g, w)
		}
		return nil
	}
	switch got.Kind() {
	case reflect.Struct:
		for i := range got.NumField() {
			f := got.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			g, w, name := got.Field(i), want.Field(i), path+"."+f.Name
			if g.Kind() == reflect.Slice && g.IsNil() != w.IsNil() && !strings.Contains(f.Tag.Get("json"), "omitempty") {
				return fmt.Errorf("%s is %#v, want %#v", name, g, w)
			}
			if err := differ(name, g, w); err != nil {
				return err
			}
		}
		return nil
	case reflect.Slice:
		if got.Len() != want.Len() {
			return fmt.Errorf("%s has %d elements, want %d", path, got.Len(), want.Len())
		}
		for i := range got.Len() {
			if err := differ(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(got.Interface(), want.Interface()) {
		return fmt.Errorf("%s is %.80q, want %.80q", path, fmt.Sprint(got), fmt.Sprint(want))
	}
	return nil
}
