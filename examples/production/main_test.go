package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/authwright/authwright"
)

const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// The program starts without a flag but its address, and a person gets through it.
func TestFlow(t *testing.T) {
	base := start(t)
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Hostname() == "127.0.0.1" && r.URL.Path == "/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}}

	page := read(t, get(t, browser, base+"/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"cli"}, "redirect_uri": {"http://127.0.0.1:7/callback"}, "scope": {"notes:read"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}.Encode()))
	next := regexp.MustCompile(`name="next" value="([^"]+)"`).FindStringSubmatch(page)
	if next == nil {
		t.Fatalf("no login page: %s", page)
	}
	resp, err := browser.PostForm(base+"/login", url.Values{"username": {"alice"}, "password": {"wonderland"}, "next": {unescape(next[1])}})
	must(t, err)
	page = read(t, resp)
	form := regexp.MustCompile(`action="([^"]+)"[^>]*>\s*<input type="hidden" name="consent" value="([^"]+)"`).FindStringSubmatch(page)
	if form == nil {
		t.Fatalf("no consent page: %s", page)
	}
	resp, err = browser.PostForm(base+unescape(form[1]), url.Values{"consent": {form[2]}, "decision": {"approve"}, "scope": {"notes:read"}})
	must(t, err)
	read(t, resp)
	back, err := resp.Location()
	must(t, err)

	resp, err = http.PostForm(base+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"cli"}, "code": {back.Query().Get("code")}, "code_verifier": {verifier},
	})
	must(t, err)
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(read(t, resp)), &tokens); err != nil || tokens.Access == "" {
		t.Fatalf("no token: %d %v", resp.StatusCode, err)
	}
	req, err := http.NewRequest(http.MethodGet, base+"/api/notes", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+tokens.Access)
	resp, err = http.DefaultClient.Do(req)
	must(t, err)
	if got := read(t, resp); got != "the notes of alice\n" {
		t.Fatalf("the API answered %d %q", resp.StatusCode, got)
	}
	if got := read(t, get(t, browser, base+"/readyz")); got != "ok\n" {
		t.Fatalf("not ready: %q", got)
	}
}

// start runs the program on SQLite until the test ends.
func start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, options{addr: addr, issuer: "http://" + addr, data: t.TempDir()}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("it did not end gracefully: %v", err)
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		resp, err := http.Get("http://" + addr + "/healthz")
		if err == nil {
			resp.Body.Close()
			return "http://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatal("it did not start")
		}
		time.Sleep(20 * time.Millisecond) // until the other goroutine listens
	}
}

// A key is published before it signs, and goes when its tokens have.
func TestKeyFiles(t *testing.T) {
	k := &keyFiles{dir: t.TempDir(), every: 30 * 24 * time.Hour}
	begin := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	count := func(now time.Time) []authwright.SigningKey {
		t.Helper()
		keys, err := k.load(now)
		must(t, err)
		return keys
	}
	first := count(begin)
	if len(first) != 1 || first[0].NotBefore.After(begin) {
		t.Fatalf("the first key is not ready: %v", first)
	}
	due := first[0].NotBefore.Add(k.every)
	both := count(due.Add(-time.Minute))
	if len(both) != 2 || !both[0].NotBefore.After(due.Add(-time.Minute)) {
		t.Fatalf("the next key is not published ahead: %v", both)
	}
	if again := count(due.Add(-time.Minute)); len(again) != 2 {
		t.Fatalf("another replica made one more: %d", len(again))
	}
	last := count(both[0].NotBefore.Add(behind + time.Minute))
	if len(last) != 1 || !last[0].NotBefore.Equal(both[0].NotBefore) {
		t.Fatalf("the old key is still there: %v", last)
	}
	info, err := os.Stat(k.path(last[0].NotBefore))
	must(t, err)
	if info.Mode().Perm()&0o077 != 0 {
		t.Fatalf("others can read the key: %v", info.Mode())
	}
}

// What happens is counted by type.
func TestTelemetry(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	tel, err := withProviders(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), sdktrace.NewTracerProvider())
	must(t, err)
	tel.event(t.Context(), authwright.Event{Type: authwright.EventCodeRedeemed, ClientID: "cli"})
	tel.event(t.Context(), authwright.Event{Type: authwright.EventCodeRedeemed, ClientID: "cli"})
	var data metricdata.ResourceMetrics
	must(t, reader.Collect(t.Context(), &data))
	sum, ok := data.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64])
	if !ok || len(sum.DataPoints) != 1 || sum.DataPoints[0].Value != 2 {
		t.Fatalf("counted %+v", data.ScopeMetrics)
	}
	must(t, tel.shutdown())
}

func get(t *testing.T, c *http.Client, target string) *http.Response {
	t.Helper()
	resp, err := c.Get(target)
	must(t, err)
	return resp
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(body)
}

func unescape(s string) string { return regexp.MustCompile(`&amp;`).ReplaceAllString(s, "&") }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
