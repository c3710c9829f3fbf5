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
// that answers what a document is, header and bytes, and does nothing else.
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
			measure(b, copying(b, d.url))
		})
	}
}

// copying answers what the server answered once.
func copying(b *testing.B, u *url.URL) func() {
	answer := sendGet(memoryServer(b), u, browserHeader)
	type header struct {
		name   string
		values []string
	}
	var headers []header
	for name, values := range answer.Header() {
		headers = append(headers, header{name, values})
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range headers {
			w.Header()[headers[i].name] = headers[i].values
		}
		w.Write(answer.Body.Bytes())
	})
	return func() { mustAnswer(b, sendGet(h, u, browserHeader), http.StatusOK) }
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
		measureAgainst(b, func() { mustAnswer(b, sendGet(srv, u, browserHeader), http.StatusOK) }, copying(b, u))
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
	impl := &implementation{Authorize: srv, Token: srv}
	refresh := impl.flow().refresh
	headers := make([]http.Header, tokens)
	for i := range headers {
		got := impl.refresh(refresh)
		refresh, headers[i] = got.refresh, http.Header{"Authorization": {"Bearer " + string(got.access)}}
	}
	b.Run("token=new", func(b *testing.B) {
		h, i := api(), 0
		measureAgainst(b, func() {
			mustAnswer(b, sendGet(h, tokenURL, headers[i]), http.StatusNoContent)
			if i++; i == tokens {
				h, i = api(), 0 // which has seen none
			}
		}, verification(b, "ES256"))
	})
	b.Run("token=seen", func(b *testing.B) {
		h := api()
		measureAgainst(b, func() { mustAnswer(b, sendGet(h, tokenURL, headers[0]), http.StatusNoContent) }, verification(b, "ES256"))
	})
}
