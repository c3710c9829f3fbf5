package authwright

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fillGrant returns a Grant in which every field has a value of its own, those that are yet
// to be invented included.
func fillGrant(t *testing.T) *Grant {
	g := new(Grant)
	v := reflect.ValueOf(g).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Addr().Interface().(type) {
		case *string:
			*f = "text of " + name
		case *Stage:
			*f = "stage of " + Stage(name)
		case *int64:
			*f = 1<<40 + int64(i)
		case *bool:
			*f = true
		case *time.Time:
			*f = time.Date(1969, 1, 2, 3, 4, i, i, time.UTC)
		case *[]string:
			*f = []string{name, "", "and " + name}
		case *[]byte:
			*f = []byte("bytes of " + name)
		case *json.RawMessage:
			*f = json.RawMessage(`{"of":"` + name + `"}`)
		default:
			t.Fatalf("no value for %s, nor perhaps a place in a record", name)
		}
	}
	return g
}

func TestRecord(t *testing.T) {
	t.Parallel()
	t.Run("what is kept is what comes back", func(t *testing.T) {
		full := fillGrant(t)
		for _, g := range []*Grant{
			full, {}, {ID: "i", Version: 1, Stage: StageCode}, {ExpiresAt: time.Now().UTC().Round(0)},
			{ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)}, {Sealed: []byte{0}}, {AMR: []string{""}},
		} {
			r := newRecord(g)
			require.Equal(t, g, r.grant(g.ID))
			require.Equal(t, cap(r), len(r))
			require.Equal(t, g.Version, r.version())
			require.Equal(t, g.ExpiresAt, r.expiresAt())
			subject, clientID := r.owner()
			require.Equal(t, g.Subject, string(subject))
			require.Equal(t, g.ClientID, string(clientID))
		}
		require.Zero(t, record(nil).version())
	})
	t.Run("no two share memory", func(t *testing.T) {
		g := fillGrant(t)
		r := newRecord(g)
		a, b := r.grant(g.ID), r.grant(g.ID)
		for _, bytes := range [][]byte{a.Claims, a.ClientHash, a.Browser, a.Secret, a.Lineage, a.Turn, a.Previous, a.Sealed, a.Token} {
			clear(bytes)
			_ = append(bytes, "something more"...)
		}
		clear(a.Scopes)
		_ = append(a.Scopes, "more")
		require.Equal(t, g, b)
		require.Equal(t, g, r.grant(g.ID))
	})
	t.Run("a Grant that is copied keeps every field", func(t *testing.T) {
		g := fillGrant(t)
		require.Equal(t, g, g.clone())
	})
}
