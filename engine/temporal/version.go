package temporal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Version says which version of which deployment a worker is. The workflow of a run, and what it has done by
// workers of no lane, stays with the version that has begun it. The zero value: any worker goes on with it.
type Version struct {
	Deployment string // its name
	Build      string // the version
}

func (v Version) options() worker.DeploymentOptions {
	if v.Deployment == "" {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{UseVersioning: true, DefaultVersioningBehavior: workflow.VersioningBehaviorPinned,
		Version: worker.WorkerDeploymentVersion{DeploymentName: v.Deployment, BuildID: v.Build}}
}

// Check is an error if a server would refuse the name of the deployment.
func (v Version) Check() error {
	if strings.ContainsAny(v.Deployment, ".:") || strings.HasPrefix(v.Deployment, "__") {
		return fmt.Errorf("cannot use %q as the name of a deployment: it may not have a dot or a colon, nor begin with __", v.Deployment)
	}
	return nil
}

// Current is the version of the deployment that new runs go to, once the server knows of this
// one, whose worker runs. The first version of a deployment becomes the current one; whether a later one does is
// up to whoever runs the fleet.
func (t *Client) Current(ctx context.Context, v Version) (build string, err error) {
	h := t.c.WorkerDeploymentClient().GetHandle(v.Deployment)
	for {
		d, err := h.Describe(ctx, client.WorkerDeploymentDescribeOptions{})
		current := d.Info.RoutingConfig.CurrentVersion
		if err == nil && current != nil {
			return current.BuildID, nil
		}
		if err == nil {
			_, err = h.SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: v.Build, ConflictToken: d.ConflictToken})
		}
		if err != nil && !errors.As(err, new(*serviceerror.NotFound)) && !errors.As(err, new(*serviceerror.FailedPrecondition)) {
			return "", fmt.Errorf("cannot learn which version of the deployment %s is the current one: %w", v.Deployment, err)
		}
		select { // it is known when its worker has asked for work
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
