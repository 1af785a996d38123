package postgres

import (
	"context"
	"crypto/rand"
	"time"
)

// How often a worker says that it is there, and for how long that holds. Tests shorten them.
var (
	attendEvery = 5 * time.Second
	attendTime  = 15 * time.Second
)

// Attend tells the other workers of the database that a URL names, until ctx ends, that
// this one is there, and calls told with how many there are, at first and whenever there
// are others. While the database cannot be reached it is as many as before.
func Attend(ctx context.Context, url string, told func(workers int)) error {
	b, err := connect(url)
	if err != nil {
		return err
	}
	id := rand.Text()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attendEvery)
		defer cancel()
		_, _ = b.pool.Exec(ctx, `DELETE FROM imgflow.workers WHERE id = $1`, id)
	}()
	every := time.NewTicker(attendEvery)
	defer every.Stop()
	for known := 0; ; {
		var n int
		if err := b.pool.QueryRow(ctx, attend, id, attendTime).Scan(&n); err == nil && n != known {
			known = n
			told(n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// attend says that a worker is there, forgets those that are gone, and counts the others.
const attend = `WITH
	own AS (INSERT INTO imgflow.workers VALUES ($1, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen),
	gone AS (DELETE FROM imgflow.workers WHERE id <> $1 AND seen <= clock_timestamp() - $2::interval)
	SELECT 1 + count(*) FROM imgflow.workers WHERE id <> $1 AND seen > clock_timestamp() - $2::interval`
