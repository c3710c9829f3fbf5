package integration_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestCanaries takes marked secrets through every flow and every failure, and looks for them
// wherever somebody else may look.
func TestCanaries(t *testing.T) {
	t.Parallel()
	for name, open := range canaryStores() {
		if withoutEngine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dump := open(t)
			tr := newTour(t, store)
			tr.everything()
			require.Greater(t, len(tr.names), 200)
			none := func(t *testing.T, where string, atLeast int) {
				t.Helper()
				require.Greater(t, len(where), atLeast, "there is nothing to look at")
				require.Empty(t, tr.found(where))
			}
			t.Run("Z01 not in what the storage was given", func(t *testing.T) { none(t, tr.kept.written.String(), 100_000) })
			t.Run("Z01 not in dumps, files and logs of the database", func(t *testing.T) {
				all := dump()
				require.Contains(t, all, "alice")
				none(t, all, 10_000)
			})
			t.Run("Z02 not in the log, nor in that of net/http", func(t *testing.T) {
				require.Contains(t, tr.log(), "request refused")
				require.Contains(t, tr.log(), "panic serving")
				none(t, tr.log(), 100_000)
			})
			t.Run("Z02 not in events", func(t *testing.T) {
				events, err := json.Marshal(tr.events)
				require.NoError(t, err)
				none(t, string(events)+fmt.Sprintf("%+v", tr.events), 10_000)
			})
			t.Run("Z02 not in answers, but where it belongs", func(t *testing.T) { none(t, tr.answers.String(), 100_000) })
			t.Run("Z02 not in the stacks of what runs", func(t *testing.T) {
				for _, function := range []string{"redeem", "advance", "repeated", "accessToken", "verifyAssertion", "describeToken", "question"} {
					require.Contains(t, tr.stacks.String(), "."+function+"(", "it was not caught at work")
				}
				none(t, tr.stacks.String(), 1_000_000)
			})
			t.Run("Z04 not in errors", func(t *testing.T) { none(t, tr.errs.String(), 10_000) })
		})
	}
}

// holds has a secret among its arguments, as a careless server would.
//
//go:noinline
func holds(words [2]uint64, secret [16]byte, look func()) byte {
	look()
	return secret[3] + byte(words[1])
}

// A canary that is planted is found, wherever it is.
func TestCanariesFail(t *testing.T) {
	t.Parallel()
	for name, open := range canaryStores() {
		if withoutEngine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dump := open(t)
			tr := newTour(t, store)
			planted := tr.code(asking())
			require.Empty(t, tr.found(dump()))

			g := &authwright.Grant{ID: "planted", Version: 1, Stage: authwright.StageActive, ClientID: "c1", Subject: "alice", Nonce: planted, CreatedAt: tr.now(), ExpiresAt: tr.now().Add(time.Hour)}
			require.NoError(t, tr.kept.SaveGrant(t.Context(), g))
			require.NotEmpty(t, tr.found(dump()), "in a dump")
			require.NotEmpty(t, tr.found(tr.kept.written.String()), "in what was written")
			g.Version, g.Nonce = 2, ""
			require.NoError(t, tr.kept.SaveGrant(t.Context(), g))
			if name != "memory" {
				require.NotEmpty(t, tr.found(dump()), "files remember what was overwritten")
			}

			tr.config().Logger.Debug("planted", "what", []byte(planted))
			require.NotEmpty(t, tr.found(tr.log()))
			require.NotEmpty(t, tr.found(fmt.Sprintf("%+v", authwright.Event{Reason: planted})))
			require.NotEmpty(t, tr.found(fmt.Sprintf("%v", fmt.Errorf("refused %q", planted))))
		})
	}
	c := newCanaries()
	tr := &tour{canaries: c}
	raw := [16]byte{201, 33, 147, 250, 66, 12, 99, 180, 7, 211, 54, 160, 23, 88, 142, 5}
	c.needlesOf("array", raw[:])
	holds([2]uint64{}, raw, func() { tr.stack(false) })
	require.NotEmpty(t, c.found(tr.stacks.String()), "an array in a stack")
	tr.stacks.Reset()
	holds([2]uint64{1, 0x63b40c42fa9321c9}, [16]byte{}, func() { tr.stack(true) })
	c.needlesOf("words", []byte{0xc9, 0x21, 0x93, 0xfa, 0x42, 0x0c, 0xb4, 0x63, 1, 2, 3, 4, 5, 6, 7, 8})
	require.NotEmpty(t, c.found(tr.stacks.String()), "words in a stack of all goroutines")

	for place, plant := range map[string]func(http.ResponseWriter){
		"header": func(w http.ResponseWriter) { w.Header().Set("X-Trace", "code="+planting) },
		"Location": func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://app.example.com/cb?state="+planting+"&code=abc")
		},
		"cookie":           func(w http.ResponseWriter) { http.SetCookie(w, &http.Cookie{Name: "other", Value: planting}) },
		"body":             func(w http.ResponseWriter) { fmt.Fprintf(w, `{"error_description":%q}`, planting) },
		"page":             func(w http.ResponseWriter) { fmt.Fprintf(w, `<input name="state" value=%q>`, planting) },
		"member of answer": func(w http.ResponseWriter) { fmt.Fprintf(w, `{"access_token":"a","scope":%q}`, planting) },
	} {
		c.add("planted", planting)
		w := httptest.NewRecorder()
		plant(w)
		rest := tr.harvest(httptest.NewRequest(http.MethodPost, "/token", nil), w.Result(), w.Body.String())
		require.NotEmpty(t, c.found(rest), place)
	}
	runtime.KeepAlive(raw)
}

const planting = "planted-secret-planted-0123456789-abcdefghijkl"
