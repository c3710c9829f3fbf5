// Package bench measures authwright: against one bare signature, which is what no server
// that signs a token can do without, and against other implementations.
//
// It is a module of its own because of what it needs: the peers, drivers, and the
// statistics of golang.org/x/perf. All commands run in its folder.
//
// # What it costs, in signatures
//
//	go run ./ratio
//
// prints a table: for each piece of work and implementation the median processor time with
// its confidence interval, its ratio to one signature of the same algorithm, allocations,
// bytes and, where there is one, the budget, with OK or OVER. Two smaller ones follow: the
// throughput of two cores to that of one, and bytes of heap for each live grant and left
// behind by each refresh. It takes about twenty minutes; -bench, -rounds and -benchtime
// make it shorter, and -raw keeps the output for benchstat. Budgets are in ratio/budgets.go.
//
// Processor time is that of the process (getrusage), so that the collector counts, which
// works on another core. Rounds are of everything, so that what slows the machine slows all;
// and what is compared with a signature is so in turns of milliseconds, for the same reason.
//
// The benchmarks are also there by themselves:
//
//	go test -run '^$' -bench 'CodeFlow/alg=ES256' -cpu 1
//
// Each request goes through the real handlers with [net/http/httptest.ResponseRecorder].
// All implementations have a store in memory, a confidential client with
// client_secret_basic, PKCE with S256, JWT access tokens and rotation; their user is signed
// in, and has consented or is not asked.
//
//   - authwright is on Memory, with the consent remembered: each flow looks it up.
//   - fosite is v0.49.0 with a fast hash for client secrets, and fosite-bcrypt with its
//     default. Its memory store is not safe for concurrent use, so it is not scaled.
//     It cannot verify the Ed25519 signatures that it makes, so it does not introspect them.
//   - go-oauth2 is v4.5.4. It has no introspection endpoint, its tokens say neither issuer
//     nor scope, and a code is not spent atomically.
//   - osin is v1.0.2-0.20220317075346 on the storage of its examples, made safe for concurrent
//     use and without references to predecessors, which keep all that was ever saved. Access
//     tokens are made with golang-jwt, by its host. It has no introspection endpoint and does
//     less: client secrets are kept in plain text, an authorization request may ask for any
//     scope, neither a code nor a refresh token is spent atomically, and a refresh token that
//     is used again revokes nothing.
//
// The harness allocates too: BenchmarkEmptyHandler says how much. For a document it also
// says what a handler costs that does nothing but write as many bytes.
//
// # What a server does under load
//
//	go run ./load -storage memory
//	go run ./load -storage memory -server osin
//	go run ./load -storage postgresql -processes 2
//	go run ./load -storage redis
//
// starts server processes of one core each on the loopback interface and prints requests
// per second and latencies, of an empty handler, of refreshes and of code redemptions. In a
// closed loop, connections ask as fast as they are answered, which finds the capacity. At 50
// and 80 % of that, requests arrive at a constant rate and latency counts from when each was
// due (no coordinated omission). Client, servers and database share the machine: with two
// cores, read what the client is compared to, the empty handler, first.
//
// The command starts PostgreSQL (apt-get install postgresql-15) or Redis (apt-get install
// redis-server) in a temporary folder, and a second time for a comparison of what costs what:
// pgbench or redis-benchmark, the driver alone, and the store alone, each with the same
// statements on as many rows, and with as many threads as there are server processes. They take
// turns, and medians count. The database has half of the cores and they have the others, so that
// no client is measured by what it takes from the database. PostgreSQL is vacuumed and has made
// a checkpoint before each turn.
// The store of Redis is there with go-redis and with valkey-go, which sends together what is
// ready at the same time; -driver says which the servers have. -fsync=false and -appendfsync
// always change when they flush.
//
// With -server osin or go-oauth2 a peer is loaded instead, on its store in memory.
//
// # Tests
//
//	go test ./...
//
// checks that the flows of all implementations work and refuse what they must, and that the
// load generator measures what it says. It needs PostgreSQL and Redis, and times nothing.
package bench
