package authwright_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// text makes a handler that answers with a status and a body.
func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=86400")
		w.WriteHeader(status)
		w.Write([]byte(body))
	}
}

// What is not the document of a client is not one, and is not remembered as one either.
func TestClientDocumentRefused(t *testing.T) {
	t.Parallel()
	w, p := withPublisher(t)
	id := p.URL + "/client"
	good := marshal(t, webApp.with("client_id", id))
	said := func(changes ...any) http.HandlerFunc {
		return text(http.StatusOK, marshal(t, webApp.with("client_id", id).with(changes...)))
	}
	p.serve("/moved", text(http.StatusOK, good))
	for _, tc := range []struct {
		name string
		page http.HandlerFunc
		down bool // it may be better in a moment
	}{
		{"CM-02 not found", text(404, good), false},
		{"CM-02 gone", text(410, good), false},
		{"CM-02 forbidden", text(403, good), false},
		{"CM-02 another success", text(203, good), false},
		{"CM-02 nothing", text(204, ""), false},
		{"CM-02 an error", text(500, good), true},
		{"CM-02 out of order", text(503, good), true},
		{"CM-02 too many", text(429, good), true},
		{"CM-02 a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/moved", http.StatusFound) }, false},
		{"CM-02 a permanent redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, p.URL+"/moved", http.StatusPermanentRedirect)
		}, false},
		{"CM-02 no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"CM-02 an answer that ends early", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)+1))
			w.Write([]byte(good))
		}, true},
		{"CM-03 another ID", said("client_id", p.URL+"/other"), false},
		{"CM-03 an ID that means the same", said("client_id", strings.Replace(id, "https", "HTTPS", 1)), false},
		{"CM-03 an ID that is spelled otherwise", said("client_id", strings.Replace(id, "/client", "/%63lient", 1)), false},
		{"CM-03 no ID", said("client_id", nil), false},
		{"CM-03 an ID that is no string", said("client_id", []string{id}), false},
		{"CM-03 two IDs", text(200, `{"client_id":"https://evil.example/",`+good[1:]), false},
		{"CM-03 an ID under another name", text(200, strings.Replace(good, `"client_id"`, `"Client_ID"`, 1)), false},
		{"CM-03 no redirect URIs", said("redirect_uris", nil), false},
		{"CM-03 an empty list of redirect URIs", said("redirect_uris", []string{}), false},
		{"CM-03 redirect URIs that are no list", said("redirect_uris", "https://web.example/cb"), false},
		{"CM-03 no redirect URI that anybody may have", said("redirect_uris", []string{"javascript:alert(1)", "http://web.example/cb"}), false},
		{"CM-03 a page", text(200, "<html>"), false},
		{"CM-03 an empty page", text(200, ""), false},
		{"CM-03 JSON that ends early", text(200, good[:len(good)-1]), false},
		{"CM-03 JSON and more", text(200, good+good), false},
		{"CM-03 a list", text(200, "["+good+"]"), false},
		{"CM-03 null", text(200, "null"), false},
		{"CM-04 a method with a secret", said("token_endpoint_auth_method", "client_secret_basic"), false},
		{"CM-04 another method with a secret", said("token_endpoint_auth_method", "client_secret_post"), false},
		{"CM-04 a secret that signs", said("token_endpoint_auth_method", "client_secret_jwt"), false},
		{"CM-04 a method that is not supported", said("token_endpoint_auth_method", "tls_client_auth"), false},
		{"CM-04 a secret", said("client_secret", "x"), false},
		{"CM-04 an empty secret", said("client_secret", ""), false},
		{"CM-04 a secret of null", text(200, `{"client_secret":null,`+good[1:]), false},
		{"CM-04 the end of a secret", said("client_secret_expires_at", 0), false},
		{"CM-04 keys that are missing", said("token_endpoint_auth_method", "private_key_jwt"), false},
		{"CM-04 a private key", said("jwks", map[string]any{"keys": []any{map[string]any{"kty": "EC", "d": "x"}}}), false},
		{"CM-04 a shared key", said("jwks", map[string]any{"keys": []any{map[string]any{"kty": "oct", "k": "x"}}}), false},
		{"CM-07 a document that is too large", text(200, strings.Repeat(" ", 5<<10)+good), false},
		{"CM-07 a document that is too large at its end", text(200, good+strings.Repeat(" ", 5<<10)), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.advance(time.Minute) // which the host has to be left alone
			p.serve("/client", tc.page)
			before := p.all()
			a := w.signedIn("alice").authorize(by(id))
			require.Empty(t, a.header.Get("Location"))
			require.Contains(t, a.body, `id="error"`)
			require.NotContains(t, a.body, "web.example")
			got := w.token(codeForm("x", "client_id", id))
			if tc.down {
				require.Equal(t, http.StatusServiceUnavailable, a.status)
				later(t, got)
			} else {
				errorPage(t, a)
				refused(t, got, "invalid_client")
			}
			require.Equal(t, before+2, p.all(), "no failure is kept, and no redirect followed")
			p.serve("/client", text(http.StatusOK, good))
			consentPage(t, w.signedIn("alice").authorize(by(id)))
			w.advance(24 * time.Hour)
		})
	}
	t.Run("CM-07 a document of 5 KiB", func(t *testing.T) {
		p.serve("/client", text(http.StatusOK, good+strings.Repeat(" ", 5<<10-len(good))))
		consentPage(t, w.signedIn("alice").authorize(by(id)))
	})
	t.Run("CM-03 a document without a name, where that is required", func(t *testing.T) {
		w, p := withPublisher(t, func(cfg *authwright.Config) {
			cfg.Profile = authwright.MCP
			cfg.Resources = []authwright.Resource{{ID: "https://mcp.example"}}
		})
		errorPage(t, w.signedIn("alice").authorize(by(p.publish(t, "/client", webApp.with("client_name", nil)))))
		consentPage(t, w.signedIn("alice").authorize(by(p.publish(t, "/named", webApp))))
	})
	t.Run("CM-07 a request waits no longer than it may", func(t *testing.T) {
		w, p := withPublisher(t, func(cfg *authwright.Config) { cfg.RequestTimeout = 20 * time.Millisecond })
		release := make(chan struct{})
		t.Cleanup(func() { close(release) })
		p.serve("/slow", func(http.ResponseWriter, *http.Request) { <-release })
		later(t, w.token(codeForm("x", "client_id", p.URL+"/slow")))
	})
}

func TestClientDocumentKeys(t *testing.T) {
	t.Parallel()
	w, p := withPublisher(t)
	key, other := newKey(t), newKey(t)
	p.serve("/jwks", text(http.StatusOK, string(keySetOf(t, key))))
	for name, keys := range map[string]profile{
		"CM-04 keys make a confidential client, which has to authenticate":             {"jwks": jsonOf(t, keySetOf(t, key))},
		"CM-04 keys that are elsewhere make a confidential client, that authenticates": {"jwks_uri": p.URL + "/jwks"},
	} {
		t.Run(name, func(t *testing.T) {
			said := webApp.with(pairs(keys)...).with("token_endpoint_auth_method", "private_key_jwt")
			id := p.publish(t, "/"+fmt.Sprint(len(name)), said)
			code := w.code(by(id))
			refused(t, w.token(codeForm(code, "client_id", id)), "invalid_client")
			refused(t, w.token(codeForm(code), id, ""), "invalid_client")
			signed := func(k any) []string {
				return []string{"client_assertion_type", jwtBearer, "client_assertion", signJWT(t, jose.ES256, k, nil, w.statement(id, nil))}
			}
			refused(t, w.token(codeForm(code, signed(other)...)), "invalid_client")
			a := w.token(codeForm(code, signed(key)...))
			require.Equal(t, http.StatusOK, a.status, a.body)
			refused(t, w.token(refreshForm(a.json(t)["refresh_token"].(string), "client_id", id)), "invalid_client")
		})
	}
}

func TestClientDocumentCache(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return start.Add(d).Format(http.TimeFormat) }
	for _, tc := range []struct {
		headers string
		age     time.Duration
	}{
		{"", 10 * time.Minute},
		{"Cache-Control: max-age=3600", time.Hour},
		{"Cache-Control: max-age=0", time.Minute},
		{"Cache-Control: no-store", time.Minute},
		{"Cache-Control: private, max-age=31536000", 24 * time.Hour},
		{"Cache-Control: max-age=3600|Age: 600", 50 * time.Minute},
		{"Expires: " + date(time.Hour) + "|Date: " + date(0), time.Hour},
		{"Expires: " + date(-time.Hour) + "|Date: " + date(0), time.Minute},
		{"Expires: 0|Date: " + date(0), time.Minute},
		{"Expires: " + date(time.Hour) + "|Date: " + date(0) + "|Cache-Control: max-age=7200", 2 * time.Hour},
	} {
		t.Run("CM-08 kept as long as it says: "+tc.headers, func(t *testing.T) {
			t.Parallel()
			w, p := withPublisher(t)
			var headers []string
			if tc.headers != "" {
				headers = strings.Split(tc.headers, "|")
			}
			id := p.publish(t, "/client", webApp, headers...)
			b := w.signedIn("alice")
			for _, want := range []int{1, 1} {
				consentPage(t, b.authorize(by(id)))
				require.Equal(t, want, p.all())
			}
			w.advance(tc.age - time.Millisecond)
			consentPage(t, b.authorize(by(id)))
			require.Equal(t, 1, p.all())
			w.advance(time.Millisecond)
			consentPage(t, b.authorize(by(id)))
			require.Equal(t, 2, p.all())
		})
	}
	t.Run("CM-08 an old document is not used in the place of none", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		id := p.publish(t, "/client", webApp)
		consentPage(t, w.signedIn("alice").authorize(by(id)))
		p.serve("/client", nil)
		consentPage(t, w.signedIn("alice").authorize(by(id)))
		w.advance(10 * time.Minute)
		errorPage(t, w.signedIn("alice").authorize(by(id)))
	})
}

// What a document said once is not what it says for ever.
func TestClientDocumentChanged(t *testing.T) {
	t.Parallel()
	changed := func(t *testing.T, changes ...any) (w *world, b *browser, p *publisher, id string) {
		w, p = withPublisher(t)
		id = p.publish(t, "/client", webApp)
		b = w.signedIn("alice")
		require.NotEmpty(t, b.decide(b.authorize(by(id)), "approve", "read", "write").location(t).Get("code"))
		require.NotEmpty(t, b.authorize(by(id)).location(t).Get("code"), "consent is remembered")
		p.publish(t, "/client", webApp.with(changes...))
		w.advance(10 * time.Minute)
		return w, b, p, id
	}
	for name, changes := range map[string][]any{
		"CM-10 users are asked again: another name":                {"client_name", "Your Bank"},
		"CM-10 users are asked again: one more address":            {"redirect_uris", []string{"https://web.example/cb", "https://evil.example/cb"}},
		"CM-10 users are asked again: other keys":                  {"jwks_uri", "https://evil.example/jwks"},
		"CM-10 users are asked again: another way to authenticate": {"token_endpoint_auth_method", "private_key_jwt", "jwks_uri", "https://web.example/jwks"},
		"CM-10 users are asked again: another page":                {"client_uri", "https://evil.example/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b, _, id := changed(t, changes...)
			a := b.authorize(by(id, "prompt", "none"))
			errorPage(t, a)
			require.Contains(t, a.body, "error=consent_required")
			page := b.authorize(by(id))
			consentPage(t, page)
			require.NotEmpty(t, b.decide(page, "approve", "read", "write").location(t).Get("code"))
			require.NotEmpty(t, b.authorize(by(id)).location(t).Get("code"), "once")
		})
	}
	t.Run("CM-10 what users do not rely on may change", func(t *testing.T) {
		t.Parallel()
		_, b, _, id := changed(t, "contacts", []string{"x@web.example"}, "software_version", "2")
		require.NotEmpty(t, b.authorize(by(id)).location(t).Get("code"))
	})
	t.Run("CM-10 scopes that were granted to what it was are not granted to what it is", func(t *testing.T) {
		t.Parallel()
		_, b, _, id := changed(t, "client_name", "Your Bank")
		require.NotEmpty(t, b.decide(b.authorize(by(id, "scope", "read")), "approve", "read").location(t).Get("code"))
		consentPage(t, b.authorize(by(id)))
	})
	t.Run("CM-10 a change while the user thinks puts the question anew", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		id := p.publish(t, "/client", webApp, "Cache-Control: no-store")
		b := w.signedIn("alice")
		page := b.authorize(by(id))
		p.publish(t, "/client", webApp.with("client_name", "Your Bank"))
		w.advance(2 * time.Minute)
		again := b.decide(page, "approve", "read", "write")
		consentPage(t, again)
		require.Contains(t, again.body, "Your Bank")
	})
	t.Run("CM-10 a code is not sent to where the document leads no more", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t, func(cfg *authwright.Config) { cfg.CodeLifetime = 5 * time.Minute })
		id := p.publish(t, "/client", webApp, "Cache-Control: no-store")
		b := w.signedIn("bob")
		page, code := b.authorize(by(id)), w.code(by(id))
		p.publish(t, "/client", webApp.with("redirect_uris", []string{"https://moved.example/cb"}), "Cache-Control: no-store")
		w.advance(time.Minute)
		errorPage(t, b.decide(page, "approve", "read"))
		refused(t, w.token(codeForm(code, "client_id", id)), "invalid_grant")
		p.publish(t, "/client", webApp)
		w.advance(time.Minute)
		require.Equal(t, http.StatusOK, w.token(codeForm(code, "client_id", id)).status)
	})
	t.Run("CM-10 a client that begins to authenticate has to, with what it got before", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		id := p.publish(t, "/client", webApp)
		tokens := w.token(codeForm(w.code(by(id)), "client_id", id)).json(t)
		p.publish(t, "/client", webApp.with("token_endpoint_auth_method", "private_key_jwt", "jwks", jsonOf(t, keySetOf(t, newKey(t)))))
		w.advance(10 * time.Minute)
		refused(t, w.token(refreshForm(tokens["refresh_token"].(string), "client_id", id)), "invalid_client")
	})
}

// The server is no tool for flooding others with requests.
func TestClientDocumentFetches(t *testing.T) {
	t.Parallel()
	t.Run("CM-09 those who come at once share a fetch", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		hold := make(chan struct{})
		release := sync.OnceFunc(func() { close(hold) })
		t.Cleanup(release) // also when it fails
		id := p.publish(t, "/client", webApp)
		good := p.pages["/client"]
		p.serve("/client", func(w http.ResponseWriter, r *http.Request) {
			<-hold
			good(w, r)
		})
		var unknown, arrived atomic.Int64
		var wg sync.WaitGroup
		for range racers {
			wg.Go(func() {
				r := httptest.NewRequest(http.MethodPost, w.issuer+"/token", strings.NewReader(codeForm("x", "client_id", id).Encode()))
				r.Header.Set("Content-Type", formType)
				rec := httptest.NewRecorder()
				arrived.Add(1)
				w.srv.ServeToken(rec, r)
				if strings.Contains(rec.Body.String(), "invalid_grant") {
					unknown.Add(1)
				}
			})
		}
		require.Eventually(t, func() bool { return arrived.Load() == racers && p.all() == 1 }, 10*time.Second, time.Millisecond)
		release()
		wg.Wait()
		require.EqualValues(t, racers, unknown.Load(), "all know the client now")
		require.Equal(t, 1, p.all())
	})
	t.Run("CM-09 a host is asked 30 times in a minute", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		for i := range 40 {
			a := w.token(codeForm("x", "client_id", fmt.Sprintf("%s/%d", p.URL, i)))
			if i < 30 {
				refused(t, a, "invalid_client")
			} else {
				later(t, a)
			}
		}
		require.Equal(t, 30, p.all())
		w.advance(time.Minute)
		refused(t, w.token(codeForm("x", "client_id", p.URL+"/again")), "invalid_client")
	})
	t.Run("CM-09 a source makes the server ask 60 times in a minute, wherever", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t, bySource)
		id := p.publish(t, "/client", webApp)
		port := p.URL[strings.LastIndexByte(p.URL, ':'):]
		ask := func(source, id string) answer {
			return w.transmit("POST", "/token", codeForm("x", "client_id", id).Encode(), http.Header{"X-Source": {source}})
		}
		for i := range 60 { // hosts without a certificate
			later(t, ask("a", fmt.Sprintf("https://127.0.1.%d%s/", i, port)))
		}
		later(t, ask("a", id))
		require.Zero(t, p.all())
		refused(t, ask("b", id), "invalid_grant")
		require.Equal(t, 1, p.all())
		refused(t, ask("a", id), "invalid_grant") // which is known by now
		w.advance(time.Minute)
		refused(t, ask("a", p.publish(t, "/other", webApp)), "invalid_grant")
	})
	t.Run("CM-06 nothing on this machine is fetched, unless that is allowed", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t, func(cfg *authwright.Config) { cfg.InsecureFetchLoopback = false })
		id := p.publish(t, "/client", webApp)
		a := w.signedIn("alice").authorize(by(id))
		require.Empty(t, a.header.Get("Location"))
		require.Contains(t, a.body, `id="error"`)
		later(t, w.token(codeForm("x", "client_id", id)))
		require.Zero(t, p.all())
	})
	t.Run("CM-06 nor is a host that nobody vouches for", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t, func(cfg *authwright.Config) { cfg.FetchRoots = nil })
		later(t, w.token(codeForm("x", "client_id", p.publish(t, "/client", webApp))))
		require.Zero(t, p.all())
	})
	t.Run("CM-09 a document is asked for as one", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		var header http.Header
		id := p.publish(t, "/client", webApp)
		p.serve("/client", func(_ http.ResponseWriter, r *http.Request) { header = r.Header.Clone() })
		w.signedIn("alice").authorize(by(id))
		require.Equal(t, "application/json", header.Get("Accept"))
		for _, name := range []string{"Cookie", "Authorization", "Referer", "X-Forwarded-For"} {
			require.Empty(t, header.Get(name), name)
		}
	})
}
