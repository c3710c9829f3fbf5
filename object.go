package authwright

import (
	"encoding/json"
	"strconv"
)

// An object is a JSON object that is being written, member by member, each of them once. It
// is for what every request writes; everything else is encoding/json's.
type object []byte

// newObject returns an empty object with room for size bytes.
func newObject(size int) object { return append(make(object, 0, size), '{') }

// name begins a member. Names are ours and need no escaping.
func (o object) name(name string) object {
	if len(o) > 1 {
		o = append(o, ',')
	}
	o = append(o, '"')
	o = append(o, name...)
	return append(o, `":`...)
}

// text adds a string.
func (o object) text(name, value string) object { return appendText(o.name(name), value) }

// token adds a string that has nothing to escape.
func (o object) token(name string, value []byte) object {
	return append(append(append(o.name(name), '"'), value...), '"')
}

// number adds an integer.
func (o object) number(name string, value int64) object {
	return strconv.AppendInt(o.name(name), value, 10)
}

// boolean adds true or false.
func (o object) boolean(name string, value bool) object {
	return strconv.AppendBool(o.name(name), value)
}

// texts adds an array of strings.
func (o object) texts(name string, values []string) object {
	o = append(o.name(name), '[')
	for i, value := range values {
		if i > 0 {
			o = append(o, ',')
		}
		o = appendText(o, value)
	}
	return append(o, ']')
}

// members adds those of another object, which is one that was made here.
func (o object) members(other []byte) object {
	inner := other[1 : len(other)-1]
	if len(o) > 1 && len(inner) > 0 {
		o = append(o, ',')
	}
	return append(o, inner...)
}

// json returns the object, complete.
func (o object) json() []byte { return append(o, '}') }

// appendText appends value as a JSON string.
func appendText(b []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; !isPrintable(c) {
			text, _ := json.Marshal(value) // of a string there is always one
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}
