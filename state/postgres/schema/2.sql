CREATE TABLE imgflow.makers (
	run   text NOT NULL REFERENCES imgflow.runs ON DELETE CASCADE,
	step  bytea NOT NULL,  -- its key
	means bytea NOT NULL,  -- a keyed digest of the run's secrets and access
	epoch bigint NOT NULL, -- of the run's drive
	maker text NOT NULL,   -- the run that makes the step: this one, or the one that it waits for
	PRIMARY KEY (run, step)
);
CREATE UNIQUE INDEX makers_one ON imgflow.makers (step, means) WHERE maker = run;

CREATE TABLE imgflow.keys (
	recipients text PRIMARY KEY, -- SHA-256, in hex
	sealed     bytea NOT NULL
);
