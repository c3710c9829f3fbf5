package resource_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClaims(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	cases := []refused{
		{"AT-16 other iss", token(k, nil, object{"iss": "https://evil.test"}), badIssuer},
		{"AT-16 iss with a slash more", token(k, nil, object{"iss": issuerID + "/"}), badIssuer},
		{"AT-16 iss in another case", token(k, nil, object{"iss": strings.ToUpper(issuerID)}), badIssuer},
		{"AT-16 no iss", token(k, nil, object{"iss": nil}), badClaim},
		{"AT-16 iss that is an array", token(k, nil, object{"iss": []string{issuerID}}), badClaim},
		{"AT-16 iss that is null", token(k, nil, object{"iss": json.RawMessage("null")}), badClaim},
		{"J07 other aud", token(k, nil, object{"aud": "https://other.example.com"}), badAud},
		{"J07 aud is the client", token(k, nil, object{"aud": "app"}), badAud},
		{"J07 aud begins alike", token(k, nil, object{"aud": audience + "/x"}), badAud},
		{"J07 aud names both in one string", token(k, nil, object{"aud": "https://other.example.com " + audience}), badAud},
		{"J07 empty aud", token(k, nil, object{"aud": ""}), badAud},
		{"J07 empty aud array", token(k, nil, object{"aud": []string{}}), badAud},
		{"J07 aud array of others", token(k, nil, object{"aud": []string{"a", "b"}}), badAud},
		{"J07 no aud", token(k, nil, object{"aud": nil}), badClaim},
		{"J07 aud that is null", token(k, nil, object{"aud": json.RawMessage("null")}), badClaim},
		{"J07 aud with null", token(k, nil, object{"aud": []any{nil, audience}}), badClaim},
		{"J07 aud with a number", token(k, nil, object{"aud": []any{audience, 1}}), badClaim},
		{"J07 aud that is an object", token(k, nil, object{"aud": object{audience: true}}), badClaim},
		{"J10 expired", token(k, nil, object{"exp": start.Unix() - 10}), expired},
		{"J10 expired long ago", token(k, nil, object{"exp": 0}), expired},
		{"J10 nbf to come", token(k, nil, object{"nbf": start.Unix() + 11}), early},
		{"J10 iat to come", token(k, nil, object{"iat": start.Unix() + 11}), early},
		{"J10 no exp", token(k, nil, object{"exp": nil}), badClaim},
		{"J10 no iat", token(k, nil, object{"iat": nil}), badClaim},
		{"scope that is an array", token(k, nil, object{"scope": []string{"read"}}), badClaim},
		{"scope that is null", token(k, nil, object{"scope": json.RawMessage("null")}), badClaim},
		{"grant_id that is no string", token(k, nil, object{"grant_id": 1}), badClaim},
		{"cnf", token(k, nil, object{"cnf": object{"jkt": "x"}}), bound},
		{"empty cnf", token(k, nil, object{"cnf": json.RawMessage("null")}), bound},
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		for _, value := range []string{`"1795348800"`, `1795348800.5`, `1795348800.0`, `1e308`, `1e9`, `-1`, `-1e308`, `-0`, `true`, `null`, `[]`, `{}`, `253402300800`, `18446744073709551616`, `9223372036854775807`} {
			cases = append(cases, refused{fmt.Sprintf("J10 %s is %s", name, value), token(k, nil, object{name: json.RawMessage(value)}), badClaim})
		}
	}
	for _, name := range []string{"sub", "client_id", "jti"} {
		cases = append(cases,
			refused{"AT-16 no " + name, token(k, nil, object{name: nil}), badClaim},
			refused{"AT-16 empty " + name, token(k, nil, object{name: ""}), badClaim},
			refused{"AT-16 number as " + name, token(k, nil, object{name: 1}), badClaim},
		)
	}
	testRefused(t, v, cases)
}

// What decoders read differently from one another must not reach any of them.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	good := string(payload(nil))
	add := func(members string) string {
		return sign(k, []byte(`{"alg":"ES256","typ":"at+jwt","kid":"k"}`), []byte(strings.TrimSuffix(good, "}")+members))
	}
	cases := []refused{
		{"ISS for iss", token(k, nil, object{"iss": nil, "ISS": issuerID}), badClaim},
		{"AUD for aud", token(k, nil, object{"aud": nil, "AUD": audience}), badClaim},
		{"Exp for exp", token(k, nil, object{"exp": nil, "Exp": start.Add(time.Hour).Unix()}), badClaim},
		{"SUB beside sub", add(`,"SUB":"bob"}`), badClaim},
		{"ſub beside sub", add(`,"ſub":"bob"}`), badClaim},
		{"Roles beside ROLES", add(`,"Roles":"user","ROLES":"admin"}`), badClaim},
		{"two sub", add(`,"sub":"bob"}`), badClaim},
		{"two sub by escapes", add(`,"\u0073ub":"bob"}`), badClaim},
		{"two exp", add(`,"exp":9999999999}`), badClaim},
		{"text after the payload", add(`}{}`), badClaim},
		{"unfinished", add(``), badClaim},
	}
	for _, p := range []string{``, `null`, `[]`, `"x"`, `1`, `{}`, strings.Repeat("[", 8000)} {
		cases = append(cases, refused{fmt.Sprintf("payload %.10s", p), sign(k, []byte(`{"alg":"ES256","typ":"at+jwt","kid":"k"}`), []byte(p)), badClaim})
	}
	testRefused(t, v, cases)
}

func TestLeeway(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	text := token(k, nil, object{"nbf": start.Unix()})
	for _, tc := range []struct {
		name     string
		leeway   time.Duration
		now      time.Duration // since start; the token is good from 0 to 10 minutes
		accepted bool
	}{
		{"J10 by default, early", 0, -10 * time.Second, true},
		{"J10 by default, too early", 0, -10*time.Second - 1, false},
		{"J10 by default, late", 0, 10*time.Minute + 10*time.Second - 1, true},
		{"J10 by default, too late", 0, 10*time.Minute + 10*time.Second, false},
		{"J10 next to none, early", 1, -1, true},
		{"J10 next to none, too early", 1, -2, false},
		{"J10 next to none, late", 1, 10 * time.Minute, true},
		{"J10 next to none, too late", 1, 10*time.Minute + 1, false},
		{"J10 a minute, late", time.Minute, 11*time.Minute - 1, true},
		{"J10 a minute, too late", time.Minute, 11 * time.Minute, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v, c := verifier(k)
			v.Leeway = tc.leeway
			c.set(tc.now)
			require.Equal(t, tc.accepted, get(t, protect(v), text).Code == 200)
		})
	}
}
