package resource_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

// A token is accepted if the issuer signed it as an access token for this audience, and if it is
// its time. A signature of anybody else is worth nothing.
func FuzzVerify(f *testing.F) {
	k := newKey("k1", "ES256")
	stranger := newKey("k1", "ES256")
	hmacKey := key{id: "k1", alg: "HS256", secret: keySet(k)}
	v, _ := verifier(k)
	good := string(payload(nil))
	for _, header := range []string{
		`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`, `{"alg":"none","typ":"at+jwt","kid":"k1"}`, `{"alg":"","typ":"at+jwt","kid":"k1"}`, `{"alg":"HS256","typ":"at+jwt","kid":"k1"}`, `{"alg":"ES256","typ":"JWT","kid":"k1"}`, `{"alg":"ES256","kid":"k1"}`, `{"alg":"ES256","typ":"application/AT+JWT","kid":"k1"}`,
		`{"alg":"ES256","typ":"at+jwt","kid":"k2"}`, `{"alg":"ES256","typ":"at+jwt"}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1","crit":["x"]}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1","b64":false,"crit":["b64"]}`, `{"alg":"ES256","alg":"none","typ":"at+jwt","kid":"k1"}`, `{"alg":"ES256","typ":"at+jwt","kid":"k1","jku":"https://evil.test"}`, `null`, ``,
	} {
		for how := range uint8(4) {
			f.Add(header, good, how)
		}
	}
	for _, change := range []object{
		{"aud": "https://other.example"}, {"aud": []string{audience, "x"}}, {"aud": []any{audience, nil}}, {"aud": []string{}}, {"iss": issuerID + "/"}, {"exp": start.Unix() - 3600}, {"exp": 1e300}, {"exp": "9999999999"}, {"exp": -1}, {"exp": nil}, {"nbf": start.Unix() + 3600}, {"iat": start.Unix() + 3600}, {"cnf": object{"jkt": "x"}}, {"scope": 1}, {"ISS": "x"}, {"grant_id": nil}, {"sub": ""},
	} {
		f.Add(`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`, string(payload(change)), uint8(0))
	}
	f.Add(`{"alg":"ES256","typ":"at+jwt","kid":"k1","crit":null}`, strings.Replace(good, "{", `{"n":1e400,`, 1), uint8(0))
	f.Fuzz(func(t *testing.T, header, claims string, how uint8) {
		signer := []key{k, stranger, hmacKey, {}}[how%4]
		text := sign(signer, []byte(header), []byte(claims))
		token, err := v.Verify(t.Context(), text)
		if err != nil {
			require.ErrorIs(t, err, resource.ErrInvalidToken)
			require.Nil(t, token)
			require.NotContains(t, err.Error(), text)
			return
		}
		require.Zero(t, how%4, "only the issuer signs")
		var h map[string]any
		require.NoError(t, json.Unmarshal([]byte(header), &h))
		var c struct { // whatever else it says: a number that fits nowhere, for instance
			Issuer       string `json:"iss"`
			Audience     any    `json:"aud"`
			Subject      string `json:"sub"`
			ClientID     string `json:"client_id"`
			ID           string `json:"jti"`
			Confirmation any    `json:"cnf"`
		}
		require.NoError(t, token.Claims(&c))
		require.Equal(t, []any{"ES256", "k1"}, []any{h["alg"], h["kid"]})
		require.Contains(t, []string{"at+jwt", "application/at+jwt"}, strings.ToLower(h["typ"].(string)))
		require.Nil(t, h["crit"])
		require.Nil(t, c.Confirmation)
		require.Equal(t, issuerID, c.Issuer)
		require.Contains(t, fmt.Sprint(c.Audience), audience)
		require.True(t, token.Expiry.After(start.Add(-time.Minute)))
		require.True(t, token.IssuedAt.Before(start.Add(time.Minute)))
		require.Equal(t, []string{token.Subject, token.ClientID, token.ID}, []string{c.Subject, c.ClientID, c.ID})
	})
}

// A handler behind Require runs for a good token in the one place where it may be.
func FuzzRequire(f *testing.F) {
	k := newKey("k1", "ES256")
	v, _ := verifier(k)
	h := protect(v, "read")
	good := token(k, nil, nil)
	fill := strings.NewReplacer("{token}", good)
	for _, auth := range []string{
		"Bearer {token}", "bearer {token}", "Bearer  {token}", "Bearer {token} ", "Bearer {token}=", "Bearer", "Bearer ", "Basic {token}", "{token}", "Bearer {token},{token}", "Bearer \x00", "Bearer é", "Bearer " + strings.Repeat(".", 20_000), "",
	} {
		f.Add(auth, "", "")
		f.Add(auth, "access_token={token}", "")
		f.Add(auth, "%", "access_token;={token}")
		f.Add(auth, "%61ccess_token=x&%zz", "access_token={token}")
	}
	f.Fuzz(func(t *testing.T, auth, query, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(fill.Replace(body)))
		r.URL.RawQuery = fill.Replace(query)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header["Authorization"] = []string{fill.Replace(auth)}
		if serve(t, h, r).Code != http.StatusOK {
			return
		}
		scheme, presented, _ := strings.Cut(fill.Replace(auth), " ")
		require.Equal(t, "bearer", strings.ToLower(scheme))
		require.True(t, sameToken(good, strings.TrimLeft(presented, " ")), presented)
		_ = r.ParseForm() // which finds what it can
		require.Empty(t, r.Form["access_token"])
	})
}

// sameToken reports whether b is a, but for bits of base64 that stand for nothing.
func sameToken(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		p, err1 := base64.RawURLEncoding.DecodeString(x[i])
		q, err2 := base64.RawURLEncoding.DecodeString(y[i])
		if errors.Join(err1, err2) != nil || string(p) != string(q) {
			return false
		}
	}
	return true
}
