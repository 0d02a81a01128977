-- Times are milliseconds since 1970. A token is the SHA-256 of what its owner holds.
CREATE TABLE auth_tokens (
    token      TEXT   NOT NULL PRIMARY KEY,
    username   TEXT   NOT NULL,
    expires    BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    used       BIGINT NOT NULL,
    session    TEXT   NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('access', 'refresh')),
    device     TEXT   NOT NULL,
    bound_to   TEXT,
    rotated_at BIGINT,
    rotated_by TEXT,
    successor  TEXT
);
CREATE INDEX auth_tokens_username ON auth_tokens (username);
CREATE INDEX auth_tokens_expires ON auth_tokens (expires);
CREATE INDEX auth_tokens_session ON auth_tokens (session);

CREATE TABLE login_attempts (
    key   TEXT   NOT NULL PRIMARY KEY,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    count BIGINT NOT NULL
);
CREATE INDEX login_attempts_until ON login_attempts (until);
