CREATE TABLE IF NOT EXISTS authwright_schema (
    version INTEGER NOT NULL PRIMARY KEY
) STRICT;

-- SQLite compares TEXT byte by byte unless told otherwise.
--
-- Times are milliseconds since 1970: datetime(expires_at / 1000, 'unixepoch').
--
-- A grant's columns win over its document. To revoke in an emergency:
-- UPDATE authwright_grants SET stage = 'revoked', version = version + 1 WHERE …
CREATE TABLE IF NOT EXISTS authwright_clients (
    id         TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    data       TEXT    NOT NULL,
    expires_at INTEGER -- of a registration that nobody has used; NULL for all others
) STRICT;

CREATE INDEX IF NOT EXISTS authwright_clients_expires ON authwright_clients (expires_at);

CREATE TABLE IF NOT EXISTS authwright_grants (
    id         TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    stage      TEXT    NOT NULL,
    client_id  TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    data       TEXT    NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS authwright_grants_subject ON authwright_grants (subject, id);

CREATE INDEX IF NOT EXISTS authwright_grants_client ON authwright_grants (client_id, id);

CREATE INDEX IF NOT EXISTS authwright_grants_expires ON authwright_grants (expires_at);

-- The keys of UseOnce, hashed.
CREATE TABLE IF NOT EXISTS authwright_used (
    id         BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS authwright_used_expires ON authwright_used (expires_at);

INSERT INTO authwright_schema (version) VALUES (1) ON CONFLICT DO NOTHING;
