// Package redisstore is a storage of package authwright in Redis or Valkey, 6.2 or newer:
// one server, a primary with replicas, or a Cluster.
//
// It imports no client library. [New] takes the client that the host already has, if it
// has the Do method of go-redis:
//
//	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
//	store, err := redisstore.New(rdb, redisstore.Config{})
//	if err != nil {
//		return err
//	}
//	if err := store.Check(ctx); err != nil { // see below
//		return err
//	}
//	server, err := authwright.NewServer(authwright.Config{Storage: store, Index: store, …})
//
// A redis.ClusterClient or redis.UniversalClient is passed in the same way, and any other
// library through an adapter of some lines; [Client] says what it has to do. Let the
// client read from primaries only: a replica lags behind, and the server would judge by
// yesterday's version. ContextTimeoutEnabled makes go-redis give up when a request does.
//
// # What survives
//
// A code or a refresh token is spent when Redis says so, and spent again if Redis
// forgets. How much it forgets is a matter of its configuration:
//
//   - With snapshots only (save, as Debian ships it), a crash takes back everything since
//     the last one. Measured: after kill -9, 20,000 of 20,000 spent codes came back.
//   - With appendonly yes and appendfsync everysec, the default of AOF, a crash of Redis
//     takes nothing back (measured: none of 20,000), but for up to two seconds while the
//     disk is slow, and a power failure about one second.
//   - With appendfsync always, neither takes anything back. It costs a disk flush for each
//     batch of writes.
//   - With maxmemory and an eviction policy, Redis forgets whenever memory is short. With
//     noeviction it refuses to write instead, and the server answers 503.
//
// A Store therefore works only with a server that has AOF and does not evict. It asks in
// [Store.Check] or else before its first command, and again when it meets a server that
// does not know its scripts, as one that was promoted or restarted does not;
// [Config.InsecureAcceptDataLoss] is for hosts that know better. Before Redis 7 a replica
// may have the scripts from its primary. It is then not noticed if it has no AOF, and in a
// Cluster it is any node that is asked: configure all alike.
//
// # Failover
//
// A replica gets its writes after the client has its answer. When it is promoted, by
// Sentinel, by a Cluster or by hand, whatever it had not got yet is undone: codes and old
// refresh tokens can be redeemed once more, revocations are lost, and so is any grant that
// was new, or its place in an index. docs/storage.md has measured how much that is:
//
//   - If the primary was killed, the last write of each client, at most, if its replica
//     had caught up.
//   - If it was well and was replaced, or was cut off from its replicas and not from its
//     clients, all that it took until they were told: seconds, and thousands of grants. The
//     server's min-replicas-to-write ends that after min-replicas-max-lag at the earliest,
//     which may be no sooner.
//   - With [NewWaiting] for all replicas, nothing. While one of them is missing, as the old
//     primary is after a failover, the server answers 503.
//   - With NewWaiting for some of them, nothing if the primary was killed or cut off. If it
//     was replaced while it was well, it goes on with a replica that was not promoted: this
//     confirms what the other does not have. Sentinel also replaces a primary that is only
//     slow to answer.
//
// NewWaiting does not work in a Cluster. Nothing makes Redis consistent; who needs that uses
// a database that is, such as PostgreSQL through package sqlstore.
//
// The old primary becomes a replica when it is back, and what only it had is gone. Until it
// is told, it takes writes from whoever still talks to it. So let the client ask Sentinel,
// as redis.NewFailoverClient does. A redis.ClusterClient of go-redis learns of a primary that
// does not answer only every ClusterStateReloadInterval, which is a minute by default.
//
// # Keys
//
// All keys begin with [Config.Prefix]. All but those of permanent clients expire, so that
// memory is bounded by what is alive; [Store.DeleteExpired] has nothing to do. They expire
// by the clock of Redis, while grants are issued by the server's: the two must agree to
// within a minute.
//
//	authwright:client:{<id>}           the client as JSON, until its ExpiresAt
//	authwright:grant:{<id>}            the grant as JSON, until a minute after its ExpiresAt
//	authwright:used:{<hash>}           a key of UseOnce
//	authwright:wait:{}                 nothing; NewWaiting writes it to have something to wait for
//	authwright:by-subject:{<subject>}  the IDs of a subject's grants, sorted by when each may be dropped
//	authwright:by-client:{<client>}    the same for a client
//
// What stands in braces is escaped as in a query string, so that it is the hash tag of
// the key whatever it contains. A grant is one key and so in one slot. SaveGrant is one
// script and one round trip, but for the saves of a consent page, which write the
// indexes first; Grant is one round trip.
package redisstore
