package aws

import (
	"context"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

// clock tells the time of the cloud, by which leases end: a computer whose own
// clock is wrong must neither take living things for orphans nor let its own
// leases look ended to others.
type clock struct {
	own  func() time.Time
	skew atomic.Int64 // how far the cloud is ahead of our own clock, in nanoseconds
}

// tolerated is a difference that is none: the time of an answer has whole seconds,
// and was on its way.
const tolerated = time.Minute

func (c *clock) now() time.Time { return c.own().Add(time.Duration(c.skew.Load())) }

// set is told what time it is at the cloud.
func (c *clock) set(at time.Time) {
	skew := at.Sub(c.own())
	if skew.Abs() < tolerated {
		skew = 0
	}
	c.skew.Store(int64(skew))
}

// learn sets the clock by the Date of every answer of a client.
func (c *clock) learn(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("CloudClock", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, md, err := next.HandleInitialize(ctx, in)
		if at, ok := awsmiddleware.GetServerTime(md); ok {
			c.set(at)
		}
		return out, md, err
	}), middleware.After)
}
