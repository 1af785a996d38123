CREATE SCHEMA imgflow;

CREATE TABLE imgflow.schema (level int NOT NULL);
INSERT INTO imgflow.schema VALUES (0);

CREATE TABLE imgflow.runs (
	id          text PRIMARY KEY,
	summary     text NOT NULL,                  -- JSON
	epoch       bigint NOT NULL DEFAULT 1,      -- raised by each taking of the run
	changes     bigint NOT NULL DEFAULT 0,      -- counts batches
	assigned    boolean NOT NULL DEFAULT false, -- to an engine
	lease_until timestamptz,                    -- of the process that drives it
	taker       text                            -- what that took it with, at random: an answer may be lost
);

CREATE TABLE imgflow.entries (
	run     text NOT NULL REFERENCES imgflow.runs ON DELETE CASCADE,
	bucket  text NOT NULL,
	key     bytea NOT NULL,
	value   bytea NOT NULL,  -- CRC-32C, then the value
	changed bigint NOT NULL, -- runs.changes of the batch that it came with
	PRIMARY KEY (run, bucket, key)
);
CREATE INDEX entries_changed ON imgflow.entries (run, changed) WHERE bucket = 'records';

CREATE TABLE imgflow.events (
	run  text NOT NULL REFERENCES imgflow.runs ON DELETE CASCADE,
	n    bigint GENERATED ALWAYS AS IDENTITY,
	line bytea NOT NULL, -- JSON
	PRIMARY KEY (run, n)
);

CREATE TABLE imgflow.offsets (
	run    text NOT NULL REFERENCES imgflow.runs ON DELETE CASCADE,
	token  text NOT NULL,
	stream text NOT NULL,
	behind bigint NOT NULL,
	PRIMARY KEY (run, token, stream)
);

CREATE TABLE imgflow.claims (
	run  text NOT NULL REFERENCES imgflow.runs ON DELETE CASCADE,
	step bytea NOT NULL,
	n    bigint NOT NULL,
	PRIMARY KEY (run, step)
);

CREATE TABLE imgflow.writers (
	run    text NOT NULL REFERENCES imgflow.runs ON DELETE CASCADE,
	writer bigint GENERATED ALWAYS AS IDENTITY,
	batch  bigint NOT NULL DEFAULT 0, -- the last that was committed
	PRIMARY KEY (run, writer)
);

CREATE TABLE imgflow.blobs (
	sum     text PRIMARY KEY, -- SHA-256, in hex
	content bytea NOT NULL
);
CREATE TABLE imgflow.run_blobs (
	run text NOT NULL REFERENCES imgflow.runs ON DELETE CASCADE,
	sum text NOT NULL REFERENCES imgflow.blobs,
	PRIMARY KEY (run, sum)
);
CREATE INDEX run_blobs_sum ON imgflow.run_blobs (sum);

CREATE TABLE imgflow.workers (
	id   text PRIMARY KEY,
	seen timestamptz NOT NULL
);
