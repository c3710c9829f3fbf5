package authwright

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	knownVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	knownChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// A challenge is verified by what it was made from, and by nothing else.
func FuzzPKCE(f *testing.F) {
	for _, text := range []string{
		knownVerifier, knownChallenge, "", knownVerifier + "=", knownVerifier[:42], strings.Repeat("a", 128), strings.Repeat("a", 129), knownVerifier[:42] + "+",
		knownVerifier[:42] + " ", "\n" + knownVerifier, knownVerifier + "\x00", strings.ToLower(knownVerifier), knownChallenge[:42] + "N", knownChallenge + "=", knownChallenge[:20] + "\r\n" + knownChallenge[20:], strings.Repeat("é", 30),
	} {
		f.Add(text, knownChallenge, "S256")
		f.Add(knownVerifier, text, "S256")
		f.Add(text, text, "plain")
	}
	f.Fuzz(func(t *testing.T, verifier, challenge, method string) {
		for _, optional := range []bool{false, true} {
			got, err := parseChallenge(form{{"code_challenge", challenge}, {"code_challenge_method", method}}.present(), optional)
			switch {
			case err != nil:
				require.ErrorIs(t, err, ErrInvalidRequest)
				require.Empty(t, got)
			case got == "":
				require.True(t, optional && challenge == "" && method == "")
			default:
				require.Equal(t, "S256", method)
				require.Equal(t, challenge, got)
				sum, err := base64.RawURLEncoding.Strict().DecodeString(got)
				require.NoError(t, err)
				require.Len(t, sum, sha256.Size)
				require.Equal(t, got, base64.RawURLEncoding.EncodeToString(sum), "there is one spelling of it")
			}
		}
		sum := sha256.Sum256([]byte(verifier))
		made := base64.RawURLEncoding.EncodeToString(sum[:])
		require.Equal(t, made == challenge, verifyPKCE(challenge, verifier))
		require.True(t, verifyPKCE(made, verifier))
		require.False(t, verifyPKCE(verifier, verifier), "plain is no method")
		require.False(t, verifyPKCE("", verifier))
		if isVerifier(verifier) {
			require.Regexp(t, `^[A-Za-z0-9\-._~]{43,128}$`, verifier)
		}
		kept, err := parseChallenge(form{{"code_challenge", made}, {"code_challenge_method", "S256"}}, false)
		require.NoError(t, err)
		require.Equal(t, made, kept)
	})
}

// A secret has one spelling; and of a chain, a token is worth what its turn is worth.
func FuzzSecret(f *testing.F) {
	good := secret{id: [16]byte{1}, lineage: [16]byte{2}, turn: [16]byte{3}}.String()
	for _, text := range []string{
		good, good + "=", good[:63], good + "A", good[:10] + "\n" + good[10:63], good[:63] + "_", strings.Replace(good, "A", "+", 1), strings.Repeat("A", 64),
		strings.Repeat("\n", 64), strings.Repeat("-", 64), strings.Repeat("_", 64), strings.Repeat("/", 64), "", "eyJhbGciOiJub25lIn0.e30.",
	} {
		f.Add(text, []byte("0123456789abcdef"))
	}
	f.Fuzz(func(t *testing.T, text string, turn []byte) {
		s, ok := parseSecret(text)
		if !ok {
			return
		}
		require.Equal(t, text, s.String())
		require.Equal(t, text[:21], s.grantID()[:21])
		require.False(t, same(s.hash(), nil))

		g := new(Grant)
		g.startChain(s)
		_, ok = g.successor(s)
		require.False(t, ok, "nothing follows the first")
		next := s
		copy(next.turn[:], turn)
		if next == s {
			return
		}
		g.rotate(s, next)
		require.NotEqual(t, next.turn[:], g.Sealed, "it is not readable at rest")
		found, ok := g.successor(s)
		require.True(t, ok)
		require.Equal(t, next, found)
		for i := range secretSize { // nobody else can read it
			b := bytes.Join([][]byte{s.id[:], s.lineage[:], s.turn[:]}, nil)
			b[i] ^= 1
			other := secret{[16]byte(b[:16]), [16]byte(b[16:32]), [16]byte(b[32:])}
			_, ok := g.successor(other)
			require.False(t, ok)
		}
	})
}

// A stored secret that parses can be checked, and says how.
func FuzzClientSecret(f *testing.F) {
	sum := base64.RawURLEncoding.EncodeToString(hash([]byte("s")))
	for _, text := range []string{
		"sha256:" + sum, "sha256:", "sha256:" + sum + "=", "sha256:" + sum[:20] + "\n" + sum[20:], "SHA256:" + sum, sum, "", "plain:s", "pbkdf2-sha256:600000:c2FsdA:" + sum,
		"pbkdf2-sha256:0:c2FsdA:" + sum, "pbkdf2-sha256:-1:c2FsdA:" + sum, "pbkdf2-sha256:99999999999999999999:c2FsdA:" + sum, "pbkdf2-sha256:1::" + sum, "pbkdf2-sha256:1:c2FsdA:" + sum + ":x",
		"sha256:" + base64.RawURLEncoding.EncodeToString(hash(nil)),
	} {
		f.Add(text, "s")
		f.Add(text, "")
	}
	f.Fuzz(func(t *testing.T, text, presented string) {
		stored := ClientSecret{Hash: text}
		h, err := stored.parse()
		if err != nil {
			require.Error(t, stored.validate())
			require.False(t, stored.is(presented))
			return
		}
		require.Len(t, h.sum, sha256.Size)
		require.LessOrEqual(t, h.rounds, maxRounds)
		require.GreaterOrEqual(t, h.rounds, 0)
		sum := sha256.Sum256([]byte(presented))
		require.Equal(t, h.rounds == 0 && presented != "" && [32]byte(h.sum) == sum, stored.is(presented))
		if h.rounds == 0 {
			require.Equal(t, schemeSHA256+base64.RawURLEncoding.EncodeToString(h.sum[:]), strings.NewReplacer("\r", "", "\n", "").Replace(text))
		}
	})
}
