CREATE TABLE IF NOT EXISTS authwright_schema (
    version BIGINT NOT NULL PRIMARY KEY
);

-- IDs are bytes: BYTEA takes and tells apart all of them, and its order never changes
-- with an upgrade of the operating system, which is how indexes on TEXT get corrupted.
-- Compare with text as usual (WHERE subject = 'alice'); to read them as text,
-- SET bytea_output = 'escape'.
--
-- Times are milliseconds since 1970: to_timestamp(expires_at / 1000.0).
--
-- A grant's columns win over its document. To revoke in an emergency:
-- UPDATE authwright_grants SET stage = 'revoked', version = version + 1 WHERE …
CREATE TABLE IF NOT EXISTS authwright_clients (
    id         BYTEA  NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL,
    data       TEXT   NOT NULL,
    expires_at BIGINT -- of a registration that nobody has used; NULL for all others
);

CREATE INDEX IF NOT EXISTS authwright_clients_expires ON authwright_clients (expires_at);

CREATE TABLE IF NOT EXISTS authwright_grants (
    id         BYTEA  NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL,
    stage      TEXT   NOT NULL,
    client_id  BYTEA  NOT NULL,
    subject    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data       TEXT   NOT NULL
);

CREATE INDEX IF NOT EXISTS authwright_grants_subject ON authwright_grants (subject, id);

CREATE INDEX IF NOT EXISTS authwright_grants_client ON authwright_grants (client_id, id);

CREATE INDEX IF NOT EXISTS authwright_grants_expires ON authwright_grants (expires_at);

-- The keys of UseOnce, hashed.
CREATE TABLE IF NOT EXISTS authwright_used (
    id         BYTEA  NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS authwright_used_expires ON authwright_used (expires_at);

INSERT INTO authwright_schema (version) VALUES (1) ON CONFLICT DO NOTHING;
