package resource_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequireHeader(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	good := token(k, nil, nil)
	h := protect(v, "read")
	for _, tc := range []struct {
		name   string
		query  string
		header []string
		status int
		want   string // WWW-Authenticate after the realm
	}{
		{"good", "", []string{"Bearer " + good}, 200, ""},
		{"scheme in another case", "", []string{"bearer " + good}, 200, ""},
		{"two spaces", "", []string{"Bearer  " + good}, 200, ""},
		{"other query", "access_tokens=1&token=2&x=access_token", []string{"Bearer " + good}, 200, ""},

		{"no credentials", "", nil, 401, `, scope="read"`},
		{"empty header", "", []string{""}, 401, `, scope="read"`},
		{"Basic", "", []string{"Basic " + good}, 401, `, scope="read"`},
		{"DPoP", "", []string{"DPoP " + good}, 401, `, scope="read"`},
		{"Bearers", "", []string{"Bearers " + good}, 401, `, scope="read"`},
		{"token in the query alone", "access_token=" + good, nil, 401, `, scope="read"`},

		{"two headers", "", []string{"Bearer " + good, "Bearer " + good}, 400, `, error="invalid_request", error_description="there is more than one Authorization header", scope="read"`},
		{"two headers, one of them empty", "", []string{"Bearer " + good, ""}, 400, `, error="invalid_request", error_description="there is more than one Authorization header", scope="read"`},
		{"two headers of two schemes", "", []string{"Basic eDp5", "Bearer " + good}, 400, `, error="invalid_request", error_description="there is more than one Authorization header", scope="read"`},
		{"token in the query as well", "access_token=" + good, []string{"Bearer " + good}, 400, `, error="invalid_request", error_description="the access token is sent by more than one method", scope="read"`},
		{"empty token in the query as well", "a=b&access_token", []string{"Bearer " + good}, 400, `, error="invalid_request", error_description="the access token is sent by more than one method", scope="read"`},
		{"escaped name in the query as well", "%61ccess%5Ftoken=x", []string{"Bearer " + good}, 400, `, error="invalid_request", error_description="the access token is sent by more than one method", scope="read"`},
		{"no token", "", []string{"Bearer"}, 400, `, error="invalid_request", error_description="the Authorization header is malformed", scope="read"`},
		{"only padding", "", []string{"Bearer =="}, 400, `, error="invalid_request", error_description="the Authorization header is malformed", scope="read"`},
		{"two tokens", "", []string{"Bearer " + good + " " + good}, 400, `, error="invalid_request", error_description="the Authorization header is malformed", scope="read"`},
		{"two credentials", "", []string{"Bearer " + good + ", Basic eDp5"}, 400, `, error="invalid_request", error_description="the Authorization header is malformed", scope="read"`},
		{"quotes", "", []string{`Bearer "` + good + `"`}, 400, `, error="invalid_request", error_description="the Authorization header is malformed", scope="read"`},
		{"padding inside", "", []string{"Bearer a=b"}, 400, `, error="invalid_request", error_description="the Authorization header is malformed", scope="read"`},
		{"not ASCII", "", []string{"Bearer ä"}, 400, `, error="invalid_request", error_description="the Authorization header is malformed", scope="read"`},

		{"bad token", "", []string{"Bearer x"}, 401, `, error="invalid_token", error_description="the access token is malformed", scope="read"`},
		{"every character of b64token", "", []string{"Bearer aZ09-._~+/=="}, 401, `, error="invalid_token", error_description="the access token is malformed", scope="read"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/?"+tc.query, nil)
			for _, v := range tc.header {
				r.Header.Add("Authorization", v)
			}
			w := serve(t, h, r)
			require.Equal(t, tc.status, w.Code)
			if tc.status != 200 {
				require.Equal(t, `Bearer realm="https://api.example.com"`+tc.want, w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func TestRequireScope(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	for _, tc := range []struct {
		name   string
		has    any
		needs  []string
		status int
	}{
		{"all", "read write", []string{"write", "read"}, 200},
		{"none needed", nil, nil, 200},
		{"one of two", "read", []string{"read", "write"}, 403},
		{"none", nil, []string{"read"}, 403},
		{"other case", "READ", []string{"read"}, 403},
		{"beginning of another", "readonly read:x", []string{"read"}, 403},
		{"by a tab", "read\twrite", []string{"read"}, 403},
		{"two in one argument", "read write", []string{"read write"}, 500},
		{"empty argument", "read", []string{""}, 500},
		{"quote in an argument", `a"b`, []string{`a"b`}, 500},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := get(t, protect(v, tc.needs...), token(k, nil, object{"scope": tc.has}))
			require.Equal(t, tc.status, w.Code)
			if tc.status == 403 {
				c := challenge(t, w)
				require.Equal(t, "insufficient_scope", c["error"])
				require.Equal(t, strings.Join(tc.needs, " "), c["scope"])
			}
		})
	}

	t.Run("the caller's slice is not kept", func(t *testing.T) {
		t.Parallel()
		scopes := []string{"admin"}
		h := protect(v, scopes...)
		scopes[0] = "read"
		require.Equal(t, 403, get(t, h, token(k, nil, nil)).Code)
	})
	t.Run("no credentials and no scope", func(t *testing.T) {
		t.Parallel()
		w := serve(t, protect(v), httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, 401, w.Code)
		require.Equal(t, `Bearer realm="https://api.example.com"`, w.Header().Get("WWW-Authenticate"))
		require.JSONEq(t, `{}`, w.Body.String())
	})
	t.Run("a realm that would end its quotes", func(t *testing.T) {
		t.Parallel()
		v, _ := verifier(k)
		v.Audience = "a\"b\\c\r\nd\u00e9"
		w := serve(t, protect(v), httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, `Bearer realm="a?b?c??d?"`, w.Header().Get("WWW-Authenticate"))
	})
}

const form = "application/x-www-form-urlencoded"

func TestRequireBody(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	good := token(k, nil, nil)
	large := "a=" + strings.Repeat("b", 200_000) + "&end=1"
	for _, tc := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"a form", form, "a=1&b=2", 200},
		{"a large form", form, large, 200},
		{"not a form", "application/json", "access_token=x", 200},
		{"a form and a second token", form, "a=1&access_token=x", 400},
		{"a form and a second token, by escapes", form + "; charset=utf-8", "%61ccess_token=x", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, parsed := range []bool{false, true} {
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tc.body))
				r.Header.Set("Content-Type", tc.contentType)
				r.Header.Set("Authorization", "Bearer "+good)
				if parsed { // by middleware that ran before
					require.NoError(t, r.ParseForm())
				}
				var got string
				h := v.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					require.NoError(t, err)
					require.NoError(t, r.Body.Close())
					got = string(body)
				}))
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(t, tc.status, w.Code)
				if tc.status == 400 {
					require.Equal(t, "invalid_request", challenge(t, w)["error"])
				} else if !parsed {
					require.Equal(t, tc.body, got, "the handler reads the whole body")
				}
			}
		})
	}
}

func TestRequireReadsOn(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	good := token(k, nil, nil)
	t.Run("the handler meets the error of a body", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("broken")
		r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(bytes.NewReader([]byte("a=1")), errReader{broken}))
		r.Header.Set("Content-Type", form)
		r.Header.Set("Authorization", "Bearer "+good)
		v.Require()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			require.ErrorIs(t, err, broken)
			require.Equal(t, "a=1", string(body))
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
	t.Run("nobody without a token has the body read", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Body = io.NopCloser(tripwire{t})
		r.Header.Set("Content-Type", form)
		r.Header.Set("Authorization", "Bearer x")
		require.Equal(t, 401, serve(t, protect(v), r).Code)
	})
	t.Run("a form over HTTP", func(t *testing.T) {
		t.Parallel()
		srv := httptest.NewServer(v.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.FormValue("note"))
		})))
		defer srv.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader(url.Values{"note": {"hello"}}.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", form)
		r.Header.Set("Authorization", "Bearer "+good)
		resp, err := srv.Client().Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "hello", string(body))
	})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

type tripwire struct{ t *testing.T }

func (w tripwire) Read([]byte) (int, error) {
	w.t.Error("the body was read")
	return 0, io.EOF
}

func TestRequireOutage(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	v.Keys = func(context.Context) ([]byte, error) { return nil, errors.New("database secret: at 10.0.0.1") }
	w := get(t, protect(v), token(k, nil, nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	require.JSONEq(t, `{"error":"temporarily_unavailable","error_description":"the access token cannot be verified now"}`, w.Body.String())
}
