CREATE TABLE IF NOT EXISTS authwright_schema (
    version BIGINT NOT NULL PRIMARY KEY
) ENGINE = InnoDB;

-- IDs are bytes: VARBINARY takes and tells apart all of them, where collations may
-- ignore case or trailing spaces. Compare with text as usual (WHERE subject = 'alice').
-- 2,048 and 512 bytes are an index of 2,560, and InnoDB takes 3,072.
--
-- Times are milliseconds since 1970: FROM_UNIXTIME(expires_at / 1000).
--
-- A grant's columns win over its document. To revoke in an emergency:
-- UPDATE authwright_grants SET stage = 'revoked', version = version + 1 WHERE …
CREATE TABLE IF NOT EXISTS authwright_clients (
    id         VARBINARY(2048) NOT NULL PRIMARY KEY,
    version    BIGINT          NOT NULL,
    data       LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    expires_at BIGINT, -- of a registration that nobody has used; NULL for all others
    INDEX authwright_clients_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- MySQL has no CREATE INDEX IF NOT EXISTS, so the indexes are part of the tables.
CREATE TABLE IF NOT EXISTS authwright_grants (
    id         VARBINARY(512)  NOT NULL PRIMARY KEY,
    version    BIGINT          NOT NULL,
    stage      VARBINARY(32)   NOT NULL,
    client_id  VARBINARY(2048) NOT NULL,
    subject    VARBINARY(2048) NOT NULL,
    created_at BIGINT          NOT NULL,
    expires_at BIGINT          NOT NULL,
    data       LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    INDEX authwright_grants_subject (subject, id),
    INDEX authwright_grants_client (client_id, id),
    INDEX authwright_grants_expires (expires_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- The keys of UseOnce, hashed.
CREATE TABLE IF NOT EXISTS authwright_used (
    id         BINARY(32) NOT NULL PRIMARY KEY,
    expires_at BIGINT     NOT NULL,
    INDEX authwright_used_expires (expires_at)
) ENGINE = InnoDB;

INSERT IGNORE INTO authwright_schema (version) VALUES (1);
