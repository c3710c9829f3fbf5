package resource_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

const mcpServer = "https://api.example.com/mcp"

// published returns a verifier with metadata, and how to ask for them.
func published(audience string, m *resource.Metadata, keys ...key) (*resource.Verifier, func(method, path string) *httptest.ResponseRecorder) {
	v, _ := verifier(keys...)
	v.Audience, v.Metadata = audience, m
	mux := http.NewServeMux()
	v.Register(mux)
	return v, func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, audience, path string }{
		{"PR-01 a resource with a path", mcpServer, "/.well-known/oauth-protected-resource/mcp"},
		{"PR-01 a resource with a longer path", "https://api.example.com/a/b", "/.well-known/oauth-protected-resource/a/b"},
		{"PR-01 a resource with a path that ends in a slash", "https://api.example.com/mcp/", "/.well-known/oauth-protected-resource/mcp/"},
		{"PR-01 a resource that is a host", "https://api.example.com", "/.well-known/oauth-protected-resource"},
		{"PR-01 a resource that is a host and a slash", "https://api.example.com/", "/.well-known/oauth-protected-resource"},
		{"PR-01 a resource on this machine", "http://localhost:8080/mcp", "/.well-known/oauth-protected-resource/mcp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v, ask := published(tc.audience, new(resource.Metadata))
			require.Equal(t, tc.path, v.MetadataPath())
			w := ask(http.MethodGet, tc.path)
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
			var m struct {
				Resource string   `json:"resource"`
				Issuers  []string `json:"authorization_servers"`
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &m))
			require.Equal(t, tc.audience, m.Resource)
			require.Equal(t, []string{issuerID}, m.Issuers)
			for _, elsewhere := range []string{strings.TrimSuffix(tc.path, "/") + "/more", tc.path + "x", "/mcp/.well-known/oauth-protected-resource"} {
				require.Equal(t, http.StatusNotFound, ask(http.MethodGet, elsewhere).Code, elsewhere)
			}
		})
	}
	t.Run("PR-01 at the root, where the host mounts it", func(t *testing.T) {
		t.Parallel()
		v, _ := published(mcpServer, new(resource.Metadata))
		w := httptest.NewRecorder()
		v.ServeMetadata(w, httptest.NewRequest(http.MethodGet, "/.well-known/oauth-protected-resource", nil))
		require.Equal(t, http.StatusOK, w.Code)
		require.Contains(t, w.Body.String(), `"resource":"https://api.example.com/mcp"`)
	})
	t.Run("PR-06 empty members are left out", func(t *testing.T) {
		t.Parallel()
		for _, m := range []*resource.Metadata{{}, {Scopes: []string{}}, {Scopes: []string{"offline_access"}}} {
			_, ask := published(mcpServer, m)
			require.JSONEq(t, `{
				"resource": "https://api.example.com/mcp",
				"authorization_servers": ["https://auth.example.com"],
				"bearer_methods_supported": ["header"]
			}`, ask(http.MethodGet, "/.well-known/oauth-protected-resource/mcp").Body.String())
		}
	})
	t.Run("PR-03 everything there is, but for offline_access", func(t *testing.T) {
		t.Parallel()
		scopes := []string{"notes:read", "offline_access", "notes:write"}
		_, ask := published(mcpServer, &resource.Metadata{
			Scopes: scopes, Name: `The "Notes" <of> Älice`, DocumentationURL: "https://example.com/docs?a=b&c=d",
			PolicyURL: "https://example.com/policy", TermsURL: "https://example.com/terms",
		})
		require.JSONEq(t, `{
			"resource": "https://api.example.com/mcp",
			"authorization_servers": ["https://auth.example.com"],
			"scopes_supported": ["notes:read", "notes:write"],
			"bearer_methods_supported": ["header"],
			"resource_name": "The \"Notes\" <of> Älice",
			"resource_documentation": "https://example.com/docs?a=b&c=d",
			"resource_policy_uri": "https://example.com/policy",
			"resource_tos_uri": "https://example.com/terms"
		}`, ask(http.MethodGet, "/.well-known/oauth-protected-resource/mcp").Body.String())
		require.Equal(t, []string{"notes:read", "offline_access", "notes:write"}, scopes, "the host's own")
	})
}

func TestMetadataRequest(t *testing.T) {
	t.Parallel()
	v, ask := published(mcpServer, new(resource.Metadata))
	path := v.MetadataPath()
	t.Run("everybody may read and keep it", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			w := ask(method, path)
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "public, max-age=3600", w.Header().Get("Cache-Control"))
			require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			require.Equal(t, method == http.MethodGet, w.Body.Len() > 0)
		}
	})
	t.Run("a browser asks before it sends the protocol's version", func(t *testing.T) {
		t.Parallel()
		w := ask(http.MethodOptions, path)
		require.Equal(t, http.StatusNoContent, w.Code)
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"))
		require.Equal(t, "GET, HEAD", w.Header().Get("Access-Control-Allow-Methods"))
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Headers"))
		require.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"))
		require.Zero(t, w.Body.Len())
	})
	t.Run("nobody may write it", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodPost, path).Code)
		w := httptest.NewRecorder()
		v.ServeMetadata(w, httptest.NewRequest(http.MethodPost, path, nil))
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD, OPTIONS", w.Header().Get("Allow"))
	})
	t.Run("there is none", func(t *testing.T) {
		t.Parallel()
		v, ask := published(mcpServer, nil)
		require.Empty(t, v.MetadataPath())
		require.Equal(t, http.StatusNotFound, ask(http.MethodGet, path).Code)
		w := httptest.NewRecorder()
		v.ServeMetadata(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusNotFound, w.Code)
	})
	t.Run("it goes together with a host's own routes", func(t *testing.T) {
		t.Parallel()
		mux := http.NewServeMux()
		mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		v.Register(mux)
		for p, want := range map[string]int{path: http.StatusOK, "/": http.StatusTeapot} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, p, nil))
			require.Equal(t, want, w.Code, p)
		}
	})
}

func TestMetadataConfig(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	for _, tc := range []struct {
		name, audience string
		metadata       resource.Metadata
	}{
		{"an audience that is no URL", "notes", resource.Metadata{}},
		{"an audience that is a URN", "urn:example:notes", resource.Metadata{}},
		{"an audience by http", "http://api.example.com/", resource.Metadata{}},
		{"an audience with a fragment", mcpServer + "#x", resource.Metadata{}},
		{"an audience with an empty query", mcpServer + "?", resource.Metadata{}},
		{"an audience with a user", "https://a@api.example.com/", resource.Metadata{}},
		{"an audience with a pattern", "https://api.example.com/{id}", resource.Metadata{}},
		{"an audience with a quote", `https://api.example.com/"`, resource.Metadata{}},
		{"a scope that is two", mcpServer, resource.Metadata{Scopes: []string{"a b"}}},
		{"a scope that is none", mcpServer, resource.Metadata{Scopes: []string{""}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v, ask := published(tc.audience, &tc.metadata, k)
			require.Empty(t, v.MetadataPath())
			require.Equal(t, http.StatusNotFound, ask(http.MethodGet, "/.well-known/oauth-protected-resource").Code)
			w := httptest.NewRecorder()
			v.ServeMetadata(w, httptest.NewRequest(http.MethodGet, "/", nil))
			require.Equal(t, http.StatusInternalServerError, w.Code)
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, http.StatusInternalServerError, get(t, protect(v), token(k, nil, object{"aud": tc.audience})).Code)
		})
	}
}

const metadataURL = "https://api.example.com/.well-known/oauth-protected-resource/mcp"

func TestChallenge(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := published(mcpServer, &resource.Metadata{Scopes: []string{"read"}}, k)
	here := object{"aud": mcpServer}
	h := protect(v, "read", "write")
	t.Run("PR-02 a request without a token is told where to get one, and for what", func(t *testing.T) {
		t.Parallel()
		w := serve(t, h, httptest.NewRequest(http.MethodPost, "/mcp", nil))
		require.Equal(t, http.StatusUnauthorized, w.Code)
		require.Equal(t, map[string]string{"realm": mcpServer, "scope": "read write", "resource_metadata": metadataURL}, challenge(t, w))
	})
	t.Run("PR-02 so is one with a bad token", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"x", token(k, nil, with(here, object{"exp": start.Unix() - 60})), token(newKey("k", "ES256"), nil, here)} {
			w := get(t, h, text)
			require.Equal(t, http.StatusUnauthorized, w.Code)
			c := challenge(t, w)
			require.Equal(t, "invalid_token", c["error"])
			require.Equal(t, "read write", c["scope"])
			require.Equal(t, metadataURL, c["resource_metadata"])
		}
	})
	t.Run("PR-02 an operation that needs no scope", func(t *testing.T) {
		t.Parallel()
		c := challenge(t, serve(t, protect(v), httptest.NewRequest(http.MethodPost, "/mcp", nil)))
		require.Equal(t, map[string]string{"realm": mcpServer, "resource_metadata": metadataURL}, c)
	})
	t.Run("PR-03 no operation needs offline_access", func(t *testing.T) {
		t.Parallel()
		w := get(t, protect(v, "read", "offline_access"), token(k, nil, with(here, object{"scope": "read offline_access"})))
		require.Equal(t, http.StatusInternalServerError, w.Code)
	})
	t.Run("PR-04 a token that lacks one scope is told all", func(t *testing.T) {
		t.Parallel()
		for _, has := range []any{"read", "write", "other", nil} {
			w := get(t, h, token(k, nil, object{"aud": mcpServer, "scope": has}))
			require.Equal(t, http.StatusForbidden, w.Code)
			c := challenge(t, w)
			require.Equal(t, "insufficient_scope", c["error"])
			require.Equal(t, "read write", c["scope"])
			require.Equal(t, metadataURL, c["resource_metadata"])
		}
	})
	t.Run("PR-04 what a request contains decides what it needs", func(t *testing.T) {
		t.Parallel()
		next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(handlerRan)) })
		write := v.Require("read", "write")(next)
		nested := v.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				write.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		}))
		for method, want := range map[string]int{http.MethodGet: http.StatusOK, http.MethodPost: http.StatusForbidden} {
			r := httptest.NewRequest(method, "/mcp", nil)
			r.Header.Set("Authorization", "Bearer "+token(k, nil, with(here, object{"scope": "read"})))
			w := serve(t, nested, r)
			require.Equal(t, want, w.Code)
			if want == http.StatusForbidden {
				require.Equal(t, "read write", challenge(t, w)["scope"])
			}
		}
	})
	for _, tc := range []struct {
		name string
		aud  any
	}{
		{"PR-05 a token for another resource of the host", "https://api.example.com/other"},
		{"PR-05 a token for the host", "https://api.example.com"},
		{"PR-05 a token for the resource with a slash more", mcpServer + "/"},
		{"PR-05 a token for the authorization server", issuerID},
		{"PR-05 a token for several others", []string{"https://api.example.com", issuerID}},
		{"PR-05 a token for nobody", []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := get(t, h, token(k, nil, object{"aud": tc.aud}))
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.Equal(t, "invalid_token", challenge(t, w)["error"])
			require.Equal(t, metadataURL, challenge(t, w)["resource_metadata"])
		})
	}
	t.Run("PR-05 a token for this resource among others passes", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, http.StatusOK, get(t, h, token(k, nil, object{"aud": []string{issuerID, mcpServer}})).Code)
	})
}
