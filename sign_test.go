package authwright

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/stretchr/testify/require"
)

// opaque hides what kind of key it holds, like the client of an HSM.
type opaque struct{ crypto.Signer }

// constant signs everything with the same bytes.
type constant struct {
	crypto.Signer
	signature []byte
}

func (c constant) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return c.signature, nil }

// Every token that this server signs is one that go-jose would have made, and reads.
func TestSign(t *testing.T) {
	t.Parallel()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	rs, err := mintRSA()
	require.NoError(t, err)
	for name, key := range map[string]SigningKey{
		"ES256":             {Signer: ec},
		"ES256 from an HSM": {Signer: opaque{ec}},
		"EdDSA":             {Signer: ed},
		"RS256":             {Signer: rs},
		"PS256":             {Signer: rs, Algorithm: "PS256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := newSigningKey(key)
			require.NoError(t, err)
			for _, typ := range []string{typeAccessToken, typeIDToken, typeLogoutToken} {
				opts := new(jose.SignerOptions).WithType(jose.ContentType(typ)).WithHeader("kid", k.public.KeyID)
				signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: cryptosigner.Opaque(key.Signer)}, opts)
				require.NoError(t, err)
				for _, payload := range []string{"", "{}", `{"sub":"älice"}`, `{"long":"` + string(bytes.Repeat([]byte("x"), 5000)) + `"}`} {
					theirs, err := signer.Sign([]byte(payload))
					require.NoError(t, err)
					want, err := theirs.CompactSerialize()
					require.NoError(t, err)
					got, err := k.sign(typ, []byte(payload))
					require.NoError(t, err)
					if k.alg == jose.EdDSA || k.alg == jose.RS256 { // the same each time
						require.Equal(t, want, string(got))
					}
					require.Len(t, got, len(want))
					signed := bytes.LastIndexByte(got, '.')
					require.Equal(t, want[:signed], string(got[:signed]))
					read, err := jose.ParseSignedCompact(string(got), []jose.SignatureAlgorithm{k.alg})
					require.NoError(t, err)
					verified, err := read.Verify(k.public)
					require.NoError(t, err)
					require.Equal(t, payload, string(verified))
					for _, token := range []string{want, string(got)} {
						require.True(t, k.signed(token))
						for _, spoilt := range []string{
							"x" + token, token + "A", token + "=", token[:len(token)-1], token[:len(token)-2], token + "\n",
							token[:signed+1], token[:signed], token[:signed] + "\n" + token[signed:], strings.Replace(token, ".", "\n.", 1), "", ".", "..",
						} {
							require.False(t, k.signed(spoilt), spoilt)
						}
						for i := range token { // whichever bit is another
							if payload != "{}" || typ != typeAccessToken {
								break
							}
							for bit := range 8 {
								if b := []byte(token); i < 40 || i > signed {
									b[i] ^= 1 << bit
									require.False(t, k.signed(string(b)))
								}
							}
						}
					}
				}
			}
		})
	}
	t.Run("a Signer that returns something else", func(t *testing.T) {
		k, err := newSigningKey(SigningKey{Signer: constant{ec, []byte("a signature")}})
		require.NoError(t, err)
		jws, err := k.sign(typeAccessToken, []byte("{}"))
		require.ErrorIs(t, err, errSignature)
		require.Nil(t, jws)
	})
}

// One signature in 256 has a number with fewer digits, and one in two has one that DER
// begins with a zero.
func FuzzFixedSignature(f *testing.F) {
	order := elliptic.P256().Params().N
	for _, n := range []*big.Int{big.NewInt(1), big.NewInt(127), big.NewInt(128), big.NewInt(255), big.NewInt(256), new(big.Int).Sub(order, big.NewInt(1)), new(big.Int).Rsh(order, 8)} {
		for _, m := range []*big.Int{big.NewInt(1), n, order} {
			der, err := asn1.Marshal(struct{ R, S *big.Int }{n, m})
			require.NoError(f, err)
			f.Add(der)
			f.Add(append(der, 0))
			f.Add(der[:len(der)-1])
		}
	}
	f.Add([]byte{0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0})
	f.Add([]byte{0x30, 6, 2, 1, 0xff, 2, 1, 1})
	f.Add([]byte{0x30, 4, 2, 0, 2, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		got, err := fixedSignature(der)
		var want struct{ R, S *big.Int }
		_, wantErr := asn1.Unmarshal(der, &want)
		fits := wantErr == nil && want.R.Sign() > 0 && want.S.Sign() > 0 && want.R.BitLen() <= 256 && want.S.BitLen() <= 256
		if fits { // and nothing else is in it, which encoding/asn1 passes over
			canonical, err := asn1.Marshal(want)
			require.NoError(t, err)
			fits = bytes.Equal(canonical, der)
		}
		if fits {
			require.NoError(t, err)
			require.Equal(t, append(want.R.FillBytes(make([]byte, 32)), want.S.FillBytes(make([]byte, 32))...), got[:])
		}
		if err == nil && wantErr != nil { // this is no parser for strangers: it is lenient about zeros and signs
			r, s := new(big.Int).SetBytes(got[:32]), new(big.Int).SetBytes(got[32:])
			require.Positive(t, r.Sign())
			require.Positive(t, s.Sign())
		}
	})
}
