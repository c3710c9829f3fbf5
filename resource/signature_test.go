package resource_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

var everyAlgorithm = []string{"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA"}

// signers returns a key for each algorithm, and a Verifier that accepts every one.
func signers() (map[string]key, *resource.Verifier) {
	keys, all := make(map[string]key), []key(nil)
	curves := map[string]elliptic.Curve{"ES384": elliptic.P384(), "ES512": elliptic.P521()}
	for _, alg := range everyAlgorithm {
		k := key{id: alg, alg: alg, use: "sig"}
		if curve := curves[alg]; curve != nil {
			k.private, _ = ecdsa.GenerateKey(curve, rand.Reader)
		} else {
			k = newKey(alg, alg)
		}
		keys[alg], all = k, append(all, k)
	}
	v, _ := verifier(all...)
	v.Algorithms = everyAlgorithm
	return keys, v
}

// golden returns a token that go-jose signed.
func golden(t testing.TB, k key, claims object) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", k.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.alg), Key: k.private}, options)
	require.NoError(t, err)
	jws, err := signer.Sign(payload(claims))
	require.NoError(t, err)
	text, err := jws.CompactSerialize()
	require.NoError(t, err)
	return text
}

// judge returns go-jose's word about the signature of text.
func judge(text, alg string, public crypto.PublicKey) bool {
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return false
	}
	_, err = jws.Verify(public)
	return err == nil
}

// Once a header is known, signatures are verified without go-jose. Both must be of one mind.
func TestSignatureOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	keys, v := signers()
	for alg, k := range keys {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			remember(t, v, golden(t, k, nil))
			for i := range 8 {
				text := golden(t, k, object{"jti": rand.Text()})
				_, err := v.Verify(t.Context(), text)
				require.NoError(t, err)

				text = golden(t, k, object{"jti": rand.Text()}) // is not known itself
				dot := strings.LastIndexByte(text, '.')
				good, err := base64.RawURLEncoding.DecodeString(text[dot+1:])
				require.NoError(t, err)
				half := len(good) / 2
				for name, sig := range map[string][]byte{
					"a bit":        flip(good, i*len(good)/8),
					"too short":    good[:len(good)-1],
					"too long":     append(append([]byte{}, good...), 0),
					"longer":       append([]byte{0}, good...),
					"longer s":     append(append(append([]byte{}, good[:half]...), 0), good[half:]...),
					"nothing":      {},
					"zeros":        make([]byte, len(good)),
					"ones":         []byte(strings.Repeat("\xff", len(good))),
					"r is zero":    append(make([]byte, half), good[half:]...),
					"s is zero":    append(append([]byte{}, good[:half]...), make([]byte, len(good)-half)...),
					"r and s swap": append(append([]byte{}, good[half:]...), good[:half]...),
				} {
					text := text[:dot+1] + base64.RawURLEncoding.EncodeToString(sig)
					require.False(t, judge(text, alg, k.private.Public()), name)
					_, err := v.Verify(t.Context(), text)
					require.EqualError(t, err, "resource: invalid token: "+badSig, name)
				}
			}
		})
	}
}

func flip(sig []byte, i int) []byte {
	sig = append([]byte{}, sig...)
	sig[i] ^= 1 << (i % 8)
	return sig
}

// An integer of ECDSA may be shorter than the others, or have its first bit set.
func TestSignatureLength(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	remember(t, v, token(k, nil, nil))
	var short, long [2]bool
	for short != [2]bool{true, true} || long != [2]bool{true, true} {
		text := token(k, nil, object{"jti": rand.Text()})
		sig, err := base64.RawURLEncoding.DecodeString(text[strings.LastIndexByte(text, '.')+1:])
		require.NoError(t, err)
		for i, n := range [][]byte{sig[:32], sig[32:]} {
			short[i] = short[i] || n[0] == 0
			long[i] = long[i] || n[0] >= 0x80
		}
		_, err = v.Verify(t.Context(), text)
		require.NoError(t, err)
	}
}

// A Verifier that has seen much and go-jose agree about every text but for line breaks, which
// go-jose skips.
func FuzzSignature(f *testing.F) {
	keys, v := signers()
	for i, alg := range everyAlgorithm {
		for range 2 {
			_, err := v.Verify(f.Context(), golden(f, keys[alg], nil))
			require.NoError(f, err)
		}
		for _, at := range []uint16{0, 5, 50, 100, 140, 250, 400, 430, 9999} {
			for _, with := range []string{"", ".", "A", "\n", "=", "-_", "é"} {
				f.Add(uint8(i), "t1", at, with)
			}
		}
	}
	f.Fuzz(func(t *testing.T, alg uint8, id string, at uint16, with string) {
		name := everyAlgorithm[int(alg)%len(everyAlgorithm)]
		text := golden(t, keys[name], object{"jti": "x" + id})
		if int(at)+len(with) <= len(text) {
			text = text[:at] + with + text[int(at)+len(with):]
		} else if at%2 == 0 {
			text = text + with
		} else {
			text = with + text
		}
		if len(text) > 16<<10 {
			return // go-jose would take it
		}
		for range 2 { // the second time it may be known
			got, err := v.Verify(t.Context(), text)
			good := judge(text, name, keys[name].private.Public()) && !strings.ContainsAny(text, "\r\n")
			require.Equal(t, good, err == nil, "%q: %v", text, err)
			if err == nil {
				require.Equal(t, "alice", got.Subject)
			}
		}
	})
}
