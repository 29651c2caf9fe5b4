/** The catalogue's steps as version 0.1 was released with them. For the test that today's steps begin with these. */
export const migrationsOf01: readonly string[] = [
  `
  -- Small facts about the controller itself.
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE operators (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE hosts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL,       -- JSON object
    facts TEXT NOT NULL,        -- JSON object
    enrolled_at INTEGER NOT NULL,
    last_seen INTEGER,          -- NULL: never connected
    connected INTEGER NOT NULL, -- 1 while connected; what still says 1 at start was connected when we were killed
    key_hash BLOB NOT NULL,     -- SHA-256 of the certificate request: the same request again is the same host again
    token_hash BLOB NOT NULL    -- the token that it enrolled with
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tokens (
    hash BLOB PRIMARY KEY,      -- SHA-256 of the secret
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    used INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE fanouts (
    id TEXT PRIMARY KEY,
    name TEXT,
    operator TEXT NOT NULL,
    command TEXT NOT NULL,      -- for people, shortened
    mode TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, -- after this no job of it is started any more
    spec BLOB,                  -- the JobSpec as MessagePack; NULL once nothing can be started any more
    hosts INTEGER NOT NULL,
    ended_at INTEGER,
    input_size INTEGER,         -- of a streamed standard input, once it is complete
    input_error TEXT,           -- why it never will be, JSON
    removed_by TEXT,            -- set: removed; kept until every host has confirmed
    finished INTEGER NOT NULL   -- 1: nothing is left to do for it
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX fanouts_by_time ON fanouts (created_at DESC);
  CREATE INDEX fanouts_unfinished ON fanouts (id) WHERE finished = 0;

  CREATE TABLE jobs (
    fanout TEXT NOT NULL,
    host TEXT NOT NULL,
    position INTEGER NOT NULL,  -- the order of the plan
    host_name TEXT NOT NULL,
    state TEXT NOT NULL,
    status TEXT NOT NULL,       -- JobStatus without its job, JSON
    stdout INTEGER NOT NULL,    -- received by operators, below which offset
    stderr INTEGER NOT NULL,
    timeline INTEGER NOT NULL,
    unread INTEGER NOT NULL,    -- bytes of stdout and stderr, as far as known
    held INTEGER NOT NULL,      -- 1: the host may still hold the job, as far as we know
    collected INTEGER NOT NULL, -- mode collect: 1 when all of it is in our own store
    waiting TEXT,               -- a stop or removal that the host has not confirmed, JSON
    PRIMARY KEY (fanout, host)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX jobs_held ON jobs (host) WHERE held = 1;
  `,
  `
  CREATE TABLE sessions (
    id TEXT NOT NULL,           -- sessions that were opened together share it
    host TEXT NOT NULL,
    host_name TEXT NOT NULL,
    status TEXT NOT NULL,       -- SessionStatus as the host said it last, JSON
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (id, host)
  ) STRICT, WITHOUT ROWID;
  `,
];
