package resource_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/authwright/authwright/resource"
)

func ExampleVerifier_Require() {
	api := &resource.Verifier{
		Issuer:   "https://auth.example.com",
		Audience: "https://api.example.com",
		Keys:     static(keySet(exampleKey)), // srv.JWKS; leave it out to fetch the keys from the issuer
	}
	notes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := resource.FromContext(r.Context())
		fmt.Fprintf(w, "the notes of %s, for %s", t.Subject, t.ClientID)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /notes", api.Require("notes:read")(notes))

	for _, scope := range []string{"notes:read", "profile"} {
		r := httptest.NewRequest(http.MethodGet, "/notes", nil)
		r.Header.Set("Authorization", "Bearer "+exampleToken(object{"scope": scope}))
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
		fmt.Println(w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 200 the notes of alice, for app
	//
	// 403 {"error":"insufficient_scope","error_description":"the access token does not permit this"}
	//
	// Bearer realm="https://api.example.com", error="insufficient_scope", error_description="the access token does not permit this", scope="notes:read"
}

func ExampleToken_Claims() {
	api := &resource.Verifier{
		Issuer:   "https://auth.example.com",
		Audience: "https://api.example.com",
		Keys:     static(keySet(exampleKey)),
	}
	h := api.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var user struct {
			Email string   `json:"email"`
			Roles []string `json:"roles"`
		}
		if err := resource.FromContext(r.Context()).Claims(&user); err != nil {
			http.Error(w, "bad claims", http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, user.Email, user.Roles)
	}))

	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+exampleToken(object{"email": "alice@example.com", "roles": []string{"editor"}}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output: alice@example.com [editor]
}

var exampleKey = newKey("example", "ES256")

// exampleToken stands for the token that a client brings.
func exampleToken(claims object) string {
	now := time.Now()
	return token(exampleKey, nil, with(object{"iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}, claims))
}

func ExampleVerifier_Register() {
	api := &resource.Verifier{
		Issuer:   "https://auth.example.com",
		Audience: "https://api.example.com/mcp",
		Metadata: &resource.Metadata{Name: "Notes", Scopes: []string{"notes:read"}},
	}
	mux := http.NewServeMux()
	api.Register(mux)
	mux.Handle("/mcp", api.Require("notes:read")(http.NotFoundHandler()))

	// A client that knows no more than the URL is told where to read on.
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/mcp", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))

	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, api.MetadataPath(), nil))
	fmt.Println(w.Body)
	// Output:
	// 401 Bearer realm="https://api.example.com/mcp", scope="notes:read", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"
	// {"resource":"https://api.example.com/mcp","authorization_servers":["https://auth.example.com"],"scopes_supported":["notes:read"],"bearer_methods_supported":["header"],"resource_name":"Notes"}
}
