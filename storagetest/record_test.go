package storagetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A field that is zero in every sample would be lost by a storage without anybody
// noticing.
func TestSamplesHaveEveryField(t *testing.T) {
	t.Parallel()
	g := reflect.ValueOf(newGrant("g")).Elem()
	for i := range g.NumField() {
		require.False(t, g.Field(i).IsZero(), "no sample has Grant.%s", g.Type().Field(i).Name)
	}
	secret := reflect.ValueOf(fullClient().Secrets[0])
	for i := range secret.NumField() {
		require.False(t, secret.Field(i).IsZero(), "no sample has ClientSecret.%s", secret.Type().Field(i).Name)
	}
	covered := make(map[string]bool)
	for _, c := range someClients() {
		require.NoError(t, c.Validate())
		v := reflect.ValueOf(c).Elem()
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				covered[v.Type().Field(i).Name] = true
			}
		}
	}
	for f := range reflect.TypeFor[authwright.Client]().Fields() {
		require.True(t, covered[f.Name], "no sample has Client.%s", f.Name)
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	type record struct {
		Text  string
		At    time.Time
		Loose []string `json:"loose,omitempty"`
		Tight []string `json:"tight,omitzero"`
		Inner struct{ Bytes []byte }
	}
	now := time.Now()
	for name, tt := range map[string]struct {
		got, want record
		err       string
	}{
		"equal":                 {got: record{Text: "a"}, want: record{Text: "a"}},
		"text":                  {got: record{Text: "a"}, want: record{Text: "b"}, err: `record.Text is "a", want "b"`},
		"zone":                  {got: record{At: now.UTC()}, want: record{At: now}},
		"time":                  {got: record{At: now.Add(1)}, want: record{At: now}, err: "record.At is"},
		"omitempty":             {got: record{Loose: []string{}}, want: record{}},
		"omitzero":              {got: record{}, want: record{Tight: []string{}}, err: "record.Tight is []string(nil), want []string{}"},
		"shorter":               {got: record{Loose: []string{"a"}}, want: record{Loose: []string{"a", "b"}}, err: "record.Loose has 1 elements, want 2"},
		"element of the struct": {got: record{Inner: struct{ Bytes []byte }{[]byte{1}}}, want: record{Inner: struct{ Bytes []byte }{[]byte{2}}}, err: "record.Inner.Bytes[0] is"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := same(&tt.got, &tt.want)
			if tt.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.err)
		})
	}
	require.Error(t, same(nil, &record{}))
}

func TestOddTextsFit(t *testing.T) {
	t.Parallel()
	for _, text := range oddTexts() {
		require.LessOrEqual(t, len(text), 512)
		require.NotEmpty(t, text)
	}
}
