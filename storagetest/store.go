package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/authwright/authwright"
)

// A Store is a Storage with what its operators need besides: to register clients, to find
// grants, and to delete what is of no use any more. The stores of this module are Stores.
// All methods are safe for concurrent use.
type Store interface {
	authwright.Storage
	authwright.Index

	// AddClient registers c, or returns ErrConflict if its ID is taken. UpdateClient
	// replaces a registration and DeleteClient forgets one; they return ErrNotFound
	// if there is none. A client that is not valid is refused, see
	// [authwright.Client.Validate]. The grants of a deleted client stay.
	AddClient(ctx context.Context, c *authwright.Client) error
	UpdateClient(ctx context.Context, c *authwright.Client) error
	DeleteClient(ctx context.Context, id string) error

	// DeleteExpired deletes up to limit records, 1,000 if limit is zero, that were of
	// no use any more at the given time. It returns how many that were, and fewer
	// than limit only when none are left. A store that lets its records expire by
	// itself may have nothing to do.
	DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// RunStore checks what a [Store] promises beyond [authwright.Storage], each promise in a
// subtest of its own, one after the other.
//
// newStore is called once for each subtest and returns a store that is empty. It may end
// the subtest, and register what has to be cleaned up after it, through its t.
func RunStore(t *testing.T, newStore func(t *testing.T) Store) {
	t.Helper()
	runEach(t, storeChecks, newStore)
}

var storeChecks = []check[Store]{
	{"admin/add", "Client returns what AddClient registered, complete in every field", adminAdd},
	{"admin/add-once", "AddClient returns ErrConflict if the ID is taken, and changes nothing", adminAddOnce},
	{"admin/one-winner", "AddClient is atomic: of many at once with one ID, one succeeds and the others return ErrConflict", adminOneWinner},
	{"admin/update", "UpdateClient replaces the whole registration, or returns ErrNotFound if there is none", adminUpdate},
	{"admin/delete", "DeleteClient forgets the registration and nothing else, or returns ErrNotFound if there is none", adminDelete},
	{"admin/invalid", "a client that is not valid is refused and changes nothing", adminInvalid},
	{"admin/copied-in", "a Client that was registered belongs to the caller, who may change it at once", adminCopiedIn},
	{"admin/any-id", "client IDs are compared byte by byte, whatever they contain", adminAnyID},

	{"index/complete", "an Index returns all grants of a subject or a client, of every stage, and no others", indexComplete},
	{"index/record", "an Index returns grants as they are stored, in every field", indexRecord},
	{"index/unknown", "an Index returns no grants and no next page for whom it does not know", indexUnknown},
	{"index/pages", "an Index returns at most limit grants at a time, and each grant exactly once", indexPages},
	{"index/default-limit", "a limit of zero means 1,000", indexDefaultLimit},
	{"index/moving", "an Index returns each grant that is not saved meanwhile exactly once, whatever happens to others", indexMoving},
	{"index/any-subject", "subjects and client IDs are compared byte by byte, whatever they contain", indexAnySubject},
	{"index/conflict", "a grant that was refused with ErrConflict is not listed", indexConflict},
	{"index/concurrent", "a grant is listed from the moment at which its save has succeeded", indexConcurrent},
	{"index/copied-out", "a Grant that was listed belongs to the caller, who may change it at once", indexCopiedOut},
	{"index/context", "when its context is done, a method returns an error that wraps neither ErrNotFound nor ErrConflict", indexContext},

	{"delete-expired/dead", "DeleteExpired deletes what is of no use any more, at most limit at a time, until none is left", deleteDead},
	{"delete-expired/live", "DeleteExpired deletes nothing that is of use", deleteLive},
	{"delete-expired/clients", "DeleteExpired deletes the clients whose ExpiresAt has passed, as far as it has not been taken back, and no others", deleteClients},
}
