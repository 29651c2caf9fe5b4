/**
 * The catalogue's tables, as a list of steps. A step that was released never changes; a change is a new step at the
 * end. `user_version` says how many steps a file has been through.
 */
export const migrations: readonly string[] = [
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
  `
  -- What the operator has signed for the hosts, as MessagePack; NULL when the spec is.
  ALTER TABLE fanouts ADD COLUMN authorization BLOB;
  -- 1: the start had secrets, which are nowhere but in memory.
  ALTER TABLE fanouts ADD COLUMN had_secrets INTEGER NOT NULL DEFAULT 0;
  -- The number of the request's line in the audit log; NULL: no operator asked for it here.
  ALTER TABLE fanouts ADD COLUMN request INTEGER;
  `,
  `
  ALTER TABLE hosts ADD COLUMN quarantined_since INTEGER;   -- set: waits for approval
  ALTER TABLE hosts ADD COLUMN certificate_expires_at INTEGER; -- of the last one that was issued or shown; NULL: not known
  ALTER TABLE hosts ADD COLUMN certificate_authority TEXT;  -- the CA that has signed it: SHA-256 of its DER, hexadecimal

  ALTER TABLE operators ADD COLUMN key TEXT;                -- SHA-256 of the public key, hexadecimal; NULL: invited only
  ALTER TABLE operators ADD COLUMN signed_in_at INTEGER;    -- when that key was first shown
  ALTER TABLE operators ADD COLUMN invited_until INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE operators ADD COLUMN last_seen INTEGER;

  -- Tokens of before get an id, so that they can be listed and revoked.
  ALTER TABLE tokens ADD COLUMN id TEXT;
  ALTER TABLE tokens ADD COLUMN name TEXT;                  -- the host must be called so
  ALTER TABLE tokens ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'; -- JSON object; the host gets them
  ALTER TABLE tokens ADD COLUMN quarantine INTEGER NOT NULL DEFAULT 0; -- 1: its hosts wait for approval
  ALTER TABLE tokens ADD COLUMN revoked_at INTEGER;
  ALTER TABLE tokens ADD COLUMN revoked_by TEXT;
  UPDATE tokens SET id = lower(hex(randomblob(6)));
  CREATE UNIQUE INDEX tokens_by_id ON tokens (id);

  -- Hosts and operators that were removed. A certificate of theirs may still be valid, and its refusal says why.
  CREATE TABLE removals (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,         -- host, operator
    name TEXT NOT NULL,
    removed_at INTEGER NOT NULL,
    removed_by TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- How it comes to its hosts, and how far that is: JSON; NULL: it was sent to all of them at once.
  ALTER TABLE fanouts ADD COLUMN rollout TEXT;
  -- 0: its turn has not come, 2: it waits for its host to connect; nothing of it was sent. 1: all others.
  ALTER TABLE jobs ADD COLUMN begun INTEGER NOT NULL DEFAULT 1;
  `,
];
