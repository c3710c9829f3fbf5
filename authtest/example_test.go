package authtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/authtest"
	"github.com/authwright/authwright/resource"
)

// A resource server meets tokens of every kind.
func Example() {
	as := authtest.NewServer(t)
	notes := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the notes of %s", resource.FromContext(r.Context()).Subject)
	}
	api := httptest.NewServer(as.Verifier(as.Issuer).Require("notes:read")(http.HandlerFunc(notes)))
	defer api.Close()

	get := func(token string) {
		resp, err := as.Client(token).Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(resp.StatusCode, string(body))
	}
	good := as.Token(authtest.Token{Subject: "alice", Scopes: []string{"notes:read"}})
	get(good)
	get(as.Token(authtest.Token{Subject: "alice", Scopes: []string{"profile"}}))
	as.Advance(time.Hour)
	get(good)
	// Output:
	// 200 the notes of alice
	// 403 {"error":"insufficient_scope","error_description":"the access token does not permit this"}
	//
	// 401 {"error":"invalid_token","error_description":"the access token expired"}
}

// The server is configured like the one in production.
func ExampleNewServer() {
	as := authtest.NewServer(t, func(c *authwright.Config) {
		c.Resources = []authwright.Resource{{ID: "https://notes.example/"}}
		c.Scopes = []authwright.Scope{{Name: "notes:read"}}
		c.AccessTokenLifetime = time.Minute
	})
	api := as.Verifier("https://notes.example/")

	token, err := api.Verify(t.Context(), as.Token(authtest.Token{Scopes: []string{"notes:read"}, Claims: map[string]any{"team": "blue"}}))
	if err != nil {
		t.Fatal(err)
	}
	var user struct{ Team string }
	if err := token.Claims(&user); err != nil {
		t.Fatal(err)
	}
	fmt.Println(token.Subject, token.Scopes, user.Team, token.Expiry.Sub(token.IssuedAt))

	_, err = as.Flow(authtest.Token{Scopes: []string{"notes:write"}})
	fmt.Println(errors.Is(err, authwright.ErrInvalidScope))
	// Output:
	// alice [notes:read] blue 1m0s
	// true
}

// An application is signed in to, with its own requests and its own redirect URI.
func ExampleServer_Login() {
	as := authtest.NewServer(t)
	app := startApp(as.Issuer, authtest.ConfidentialClient, as.Secret) // yours
	defer app.Close()

	for _, browser := range []*http.Client{as.Login("alice"), as.Deny("bob")} {
		resp, err := browser.Get(app.URL + "/login")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(resp.Request.URL.Path, resp.StatusCode, string(body))
	}
	// Output:
	// /callback 200 xyz openid notes
	// /callback 403 access_denied
}

// A program on the command line prints a URL for the user to open, and waits.
func ExampleServer_Authorize() {
	as := authtest.NewServer(t)
	printed := as.Issuer + "/authorize?response_type=code&client_id=" + authtest.PublicClient +
		"&redirect_uri=http://127.0.0.1:8765/&scope=notes&state=s1" +
		"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"

	answer, err := as.Authorize("alice", printed)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(answer.Get("state"), answer.Get("iss") == as.Issuer, answer.Has("code"))
	// Output: s1 true true
}

// Whatever was made from an authorization that has ended is refused.
func ExampleServer_Revoke() {
	as := authtest.NewServer(t)
	tokens, err := as.Flow(authtest.Token{Subject: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	as.Revoke(tokens.AccessToken)
	_, err = as.Refresh(tokens)
	fmt.Println(errors.Is(err, authwright.ErrInvalidGrant))
	// Output: true
}

// A resource server that has cached the keys meets a token of a new one.
func ExampleServer_RotateKeys() {
	as := authtest.NewServer(t)
	api := &resource.Verifier{Issuer: as.Issuer, Audience: as.Issuer} // or what you have
	before := as.Token(authtest.Token{})
	_, err := api.Verify(t.Context(), before)
	fmt.Println("before:", err)

	as.RotateKeys()
	_, err = api.Verify(t.Context(), as.Token(authtest.Token{}))
	fmt.Println("after:", err)
	_, err = api.Verify(t.Context(), before)
	fmt.Println("the old one:", err)
	// Output:
	// before: <nil>
	// after: <nil>
	// the old one: <nil>
}

// A client keeps its refresh token during an outage.
func ExampleServer_Fail() {
	as := authtest.NewServer(t)
	tokens, err := as.Flow(authtest.Token{})
	if err != nil {
		t.Fatal(err)
	}
	as.Fail(errors.New("the database has gone away"))
	_, err = as.Refresh(tokens)
	fmt.Println(err)
	as.Fail(nil)
	_, err = as.Refresh(tokens)
	fmt.Println(err)
	// Output:
	// authwright: temporarily_unavailable: try again later
	// <nil>
}

// t stands for the test that an example is the body of.
var t testing.TB = exampleTest{}

type exampleTest struct{ testing.TB }

func (exampleTest) Helper()                           {}
func (exampleTest) Cleanup(func())                    {} // the program ends anyway
func (exampleTest) Context() context.Context          { return context.Background() }
func (exampleTest) Output() io.Writer                 { return io.Discard }
func (exampleTest) Fatal(args ...any)                 { log.Fatal(args...) }
func (exampleTest) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
