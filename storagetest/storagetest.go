// Package storagetest checks implementations of [authwright.Storage].
//
// A storage decides whether a code or a refresh token is redeemed once or twice, and it
// decides that under concurrency, where a mistake shows up rarely and is exploited at
// will. Each promise of [authwright.Storage] is therefore a case here that provokes its
// violation. A failing case prints the promise that is broken.
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T, clients ...*authwright.Client) authwright.Storage {
//			return mystore.New(openTestDB(t), clients...)
//		})
//	}
//
// [Run] is for every storage. [RunStore] is for those that also offer what operators
// need, a [Store]; it does not repeat Run.
//
// The cases keep to the clock of the machine that runs them, so a remote storage has to
// agree with it to the second. They take some thousand writes and, on storage that is
// not extremely slow, a few seconds. Run them with the race detector too.
package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/authwright/authwright"
)

// Run checks that the storages which newStorage returns keep the promises of
// [authwright.Storage], each in a subtest of its own, one after the other.
//
// newStorage is called once for each subtest. It returns a storage that holds the given
// clients and nothing else. It may end the subtest, and register what has to be cleaned
// up after it, through its t.
func Run(t *testing.T, newStorage func(t *testing.T, clients ...*authwright.Client) authwright.Storage) {
	t.Helper()
	runEach(t, storageChecks, func(t *testing.T) authwright.Storage {
		return newStorage(t, someClients()...)
	})
}

// A check provokes the violation of one promise, and returns an error that says what
// it saw.
type check[S any] struct {
	name    string
	promise string
	run     func(context.Context, S) error
}

// patience is what a check may take before the storage counts as stuck.
const patience = 2 * time.Minute

func runEach[S any](t *testing.T, checks []check[S], open func(*testing.T) S) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := c.run(ctx, open(t)); err != nil {
				t.Errorf("%v\nbroken promise: %s", err, c.promise)
			}
		})
	}
}

var storageChecks = []check[authwright.Storage]{
	{"client/known", "Client returns the client registered as id, complete in every field", clientKnown},
	{"client/unknown", "Client returns an error that wraps ErrNotFound if there is no such client, and IDs are compared byte by byte", clientUnknown},
	{"client/copied", "a Client that was returned belongs to the caller, who may change it at once", clientCopied},

	{"grant/unknown", "Grant returns an error that wraps ErrNotFound if there is no such grant", grantUnknown},
	{"grant/round-trip", "Grant returns every field that SaveGrant was given, times to the millisecond", grantRoundTrip},
	{"grant/empty", "a field that is zero comes back zero", grantEmpty},
	{"grant/replaced", "SaveGrant replaces the whole record and leaves nothing of the version before", grantReplaced},
	{"grant/any-text", "text and bytes of every value come back unchanged", grantAnyText},
	{"grant/any-id", "IDs are compared byte by byte, whatever they contain", grantAnyID},
	{"grant/big", "a grant of some ten kilobytes comes back unchanged", grantBig},
	{"grant/copied-in", "a Grant that was saved belongs to the caller, who may change it at once", grantCopiedIn},
	{"grant/copied-out", "a Grant that was returned belongs to the caller, who may change it at once", grantCopiedOut},

	{"save/create-once", "SaveGrant of version 1 returns ErrConflict if the ID is taken", saveCreateOnce},
	{"save/missing", "SaveGrant of a version above 1 returns ErrConflict if there is no such grant", saveMissing},
	{"save/gap", "SaveGrant returns ErrConflict unless the stored grant has the version right before", saveGap},
	{"save/stale", "SaveGrant returns ErrConflict for a version that was saved before", saveStale},
	{"save/conflict", "SaveGrant stores nothing when it returns ErrConflict", saveConflict},
	{"save/one-winner", "SaveGrant compares and writes in one atomic step: of many saves of one version at once, one succeeds and the others return ErrConflict", saveOneWinner},
	{"save/no-lost-update", "SaveGrant compares and writes in one atomic step: no update that it accepted is lost to one that had not seen it", saveNoLostUpdate},
	{"save/many-grants", "saves of different grants at the same time do not disturb each other", saveManyGrants},

	{"revoke/order", "whoever saves first wins, be it a revocation or a rotation, and the other must look again", revokeOrder},
	{"revoke/race", "once the save of a revocation has succeeded, nobody reads or saves the grant as it was before", revokeRace},

	{"expiry/live", "a grant that has not expired is never forgotten, whatever becomes of expired ones", expiryLive},
	{"expiry/extended", "a grant whose ExpiresAt has been moved is not forgotten at the time it had before", expiryExtended},

	{"once/used", "UseOnce returns ErrConflict if the key is recorded", onceUsed},
	{"once/one-winner", "UseOnce is atomic: of many callers at once, one has the key and the others get ErrConflict", onceOneWinner},
	{"once/freed", "UseOnce frees a key when its time has passed", onceFreed},
	{"once/apart", "keys of UseOnce have nothing to do with the IDs of grants and clients", onceApart},
	{"once/any-key", "keys are compared byte by byte, whatever they contain", onceAnyKey},

	{"context/done", "when its context is done, a method stores nothing and returns an error that wraps neither ErrNotFound nor ErrConflict", contextDone},
}
