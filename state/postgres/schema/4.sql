DROP TABLE imgflow.workers;
CREATE TABLE imgflow.workers (
	id     text PRIMARY KEY,
	engine text NOT NULL,
	lanes  bigint NOT NULL, -- those of the engine's work that it is busy with, as bits
	lock   int NOT NULL,    -- the advisory one that it holds while its process is there
	seen   timestamptz NOT NULL
);
