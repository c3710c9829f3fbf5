package bench_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
	"github.com/authwright/authwright/resource"
)

// BenchmarkEmptyHandler is the harness: its requests to a handler that answers nothing, or
// that answers as many bytes as a document has and does nothing else.
func BenchmarkEmptyHandler(b *testing.B) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	b.Run("get", func(b *testing.B) {
		measure(b, func() { mustAnswer(b, sendGet(nothing, tokenURL, browserHeader), http.StatusOK) })
	})
	b.Run("post", func(b *testing.B) {
		token := "x"
		measure(b, func() { mustAnswer(b, sendPost(nothing, tokenURL, subject.RefreshForm+token), http.StatusOK) })
	})
	for _, d := range documents {
		b.Run(d.name, func(b *testing.B) {
			body := sendGet(memoryServer(b), d.url, browserHeader).Body.Bytes()
			contentType := []string{"application/json"} // or the recorder would guess it
			copying := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = contentType
				w.Write(body)
			})
			measure(b, func() { mustAnswer(b, sendGet(copying, d.url, browserHeader), http.StatusOK) })
		})
	}
}

var documents = []struct {
	name string
	url  *url.URL
}{
	{"jwks", &url.URL{Scheme: "https", Host: "auth.example.com", Path: "/jwks"}},
	{"metadata", &url.URL{Scheme: "https", Host: "auth.example.com", Path: "/.well-known/oauth-authorization-server"}},
}

func memoryServer(b *testing.B) *authwright.Server {
	b.Helper()
	srv, _, err := subject.NewMemory(keyFor(b, "ES256"))
	require.NoError(b, err)
	return srv
}

func mustAnswer(b *testing.B, w *httptest.ResponseRecorder, status int) {
	if w.Code != status {
		b.Fatalf("%d %s", w.Code, w.Body)
	}
}

func BenchmarkJWKS(b *testing.B)     { benchmarkDocument(b, documents[0].url) }
func BenchmarkMetadata(b *testing.B) { benchmarkDocument(b, documents[1].url) }

// benchmarkDocument fetches a document, and asks whether it has changed, if it has an ETag.
func benchmarkDocument(b *testing.B, u *url.URL) {
	srv := memoryServer(b)
	b.Run("get", func(b *testing.B) {
		measure(b, func() { mustAnswer(b, sendGet(srv, u, browserHeader), http.StatusOK) })
	})
	tag := sendGet(srv, u, browserHeader).Header().Get("ETag")
	if tag == "" {
		return
	}
	b.Run("unchanged", func(b *testing.B) {
		header := http.Header{"If-None-Match": {tag}}
		measure(b, func() { mustAnswer(b, sendGet(srv, u, header), http.StatusNotModified) })
	})
}

// BenchmarkResource is what a resource server adds to each request: with tokens that it has
// not seen before, and with one that it has.
func BenchmarkResource(b *testing.B) {
	const tokens = 20_000
	srv := memoryServer(b)
	api := func() http.Handler {
		v := &resource.Verifier{Issuer: subject.Issuer, Audience: subject.Issuer, Keys: srv.JWKS}
		return v.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	}
	impl := &implementation{authorize: srv, token: srv}
	refresh := impl.flow().refresh
	headers := make([]http.Header, tokens)
	for i := range headers {
		got := impl.refresh(refresh)
		refresh, headers[i] = got.refresh, http.Header{"Authorization": {"Bearer " + string(got.access)}}
	}
	b.Run("token=new", func(b *testing.B) {
		h, i := api(), 0
		measure(b, func() {
			mustAnswer(b, sendGet(h, tokenURL, headers[i]), http.StatusNoContent)
			if i++; i == tokens {
				h, i = api(), 0 // which has seen none
			}
		})
	})
	b.Run("token=seen", func(b *testing.B) {
		h := api()
		measure(b, func() { mustAnswer(b, sendGet(h, tokenURL, headers[0]), http.StatusNoContent) })
	})
}
