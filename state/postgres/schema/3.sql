CREATE TABLE imgflow.schedules (
	name  text PRIMARY KEY,
	spec  text NOT NULL,  -- JSON
	files text NOT NULL,  -- JSON
	pack  bytea NOT NULL, -- sealed
	look  text,           -- JSON: what the last look has found
	base  text            -- JSON: what the last good run was made from
);
CREATE TABLE imgflow.schedule_blobs (
	schedule text NOT NULL, -- which may be on its way
	sum      text NOT NULL REFERENCES imgflow.blobs,
	PRIMARY KEY (schedule, sum)
);
CREATE INDEX schedule_blobs_sum ON imgflow.schedule_blobs (sum);
