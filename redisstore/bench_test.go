package redisstore_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// What the store costs on top of a client that costs nothing: in time, and in garbage.

// benchGrant is a grant as it is after a refresh.
func benchGrant() *authwright.Grant {
	now := time.Now().UTC()
	hash := func(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }
	return &authwright.Grant{
		ID: "AAAAAAAAAAAAAAAAAAAAAA", Version: 3, Stage: authwright.StageActive,
		CreatedAt: now, ExpiresAt: now.AddDate(0, 0, 14), EndsAt: now.AddDate(0, 0, 90), RotatedAt: now, AuthTime: now,
		ClientID: "web", Subject: "user-00000001", Scopes: []string{"read", "write"}, Resources: []string{"https://api.example"},
		RedirectURI: "https://web.example/callback", CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Secret: hash("secret"), Lineage: hash("lineage"), Turn: hash("turn"), Previous: hash("previous"), Sealed: hash("sealed")[:16],
	}
}

func BenchmarkGrant(b *testing.B) {
	g := benchGrant()
	data, err := json.Marshal(g)
	require.NoError(b, err)
	s := newStore(b, always("3 1800000000000 aaaaaaaaaaaa TTTTTTTTTTTTTTTTTTTTTTTTTT "+string(data), nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Grant(b.Context(), g.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSaveGrant(b *testing.B) {
	g, s := benchGrant(), newStore(b, always(int64(1), nil))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.SaveGrant(b.Context(), g); err != nil {
			b.Fatal(err)
		}
	}
}
