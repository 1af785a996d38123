// Try starts a Temporal server and PostgreSQL to try fleets by hand, prints how to use
// them, and removes both, with all that they have stored, when it is interrupted:
//
//	go run ./internal/temporaltest/try
//
// With -build it builds the Temporal server and does no more.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/imgflow/imgflow/internal/pgtest"
	"github.com/imgflow/imgflow/internal/temporaltest"
)

func main() {
	build := flag.Bool("build", false, "build the Temporal server, and start nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := try(ctx, *build, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "try:", err)
		os.Exit(1)
	}
}

func try(ctx context.Context, build bool, to io.Writer) error {
	program, err := temporaltest.Build(ctx)
	if err != nil || build {
		return err
	}
	dir, err := os.MkdirTemp("", "temporal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := temporaltest.Run(program, dir)
	if err != nil {
		return err
	}
	defer server.Kill()
	database, err := pgtest.Run("fsync=on")
	if err != nil {
		return err
	}
	defer database.Close()
	fmt.Fprintf(to, `A Temporal server and PostgreSQL are up until Ctrl-C. In each of three other terminals:

  export IMGFLOW_STATE='%s'
  export AWS_ENDPOINT_URL=http://127.0.0.1:4599 AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any

and then one of these, in this order:

  imgflow-fleet ec2local --listen 127.0.0.1:4599 --access-key any --secret-key any
  imgflow-fleet worker --on %[2]s
  imgflow-fleet run --on %[2]s examples/first/image.json
`, database.URL("postgres"), server.URL())
	<-ctx.Done()
	return nil
}
