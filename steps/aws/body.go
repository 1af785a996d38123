package aws

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// SafeBodies, one of a client's APIOptions, keeps a reply whole that comes
// quickly. The SDK closes the body of a request when the header of the reply is
// there. net/http may by then have sent the body and not yet have looked whether
// there is more of it; it finds the body's WriteTo to answer io.EOF, takes that
// for a failure, and closes the connection: what had not been read of the reply
// is lost ("use of closed network connection"). A body that can only be read
// answers as it should.
func SafeBodies(stack *middleware.Stack) error {
	return stack.Build.Add(middleware.BuildMiddlewareFunc(safeBodies, func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
		req, ok := in.Request.(*smithyhttp.Request)
		if !ok {
			return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("cannot send a request of type %T", in.Request)
		}
		if body, ok := req.GetStream().(io.ReadSeeker); ok {
			var err error
			if in.Request, err = req.SetStream(struct{ io.ReadSeeker }{body}); err != nil {
				return middleware.BuildOutput{}, middleware.Metadata{}, err
			}
		}
		return next.HandleBuild(ctx, in)
	}), middleware.After)
}

const safeBodies = "imgflow safe bodies"
