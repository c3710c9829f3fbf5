package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// eachMember calls f for every member of the JSON object data, in the order of the
// file. It is stricter than encoding/json, which takes "Addr" for "addr" and the last of
// two members of one name for the only one.
func eachMember(data []byte, f func(name string, value json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return errors.New("must be an object")
	}
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%s: member is there twice", name)
		}
		seen[name] = true
		if err := f(name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// decodeObject decodes every member of the JSON object data into the pointer that
// members has under its name.
func decodeObject(data []byte, members map[string]any) error {
	return eachMember(data, func(name string, value json.RawMessage) error {
		target, ok := members[name]
		if !ok {
			return errors.New("unknown or unsupported member")
		}
		return json.Unmarshal(value, target)
	})
}
