package telemetry

import "go.opentelemetry.io/otel/attribute"

// scope is the name of the instrumentation.
const scope = "github.com/imgflow/imgflow"

// The attributes. Those without imgflow in their names are of the semantic
// conventions of OpenTelemetry; calls have theirs in steps/aws/spans.go.
const (
	keyRun       = attribute.Key("imgflow.run")       // the run's id
	keyBuilds    = attribute.Key("imgflow.builds")    // whose the step is
	keyStep      = attribute.Key("imgflow.step")      // the step's name in its build
	keyKind      = attribute.Key("imgflow.step.kind") // as provision.shell
	keyKey       = attribute.Key("imgflow.step.key")  // what the step is
	keyTitle     = attribute.Key("imgflow.step.title")
	keyAttempt   = attribute.Key("imgflow.step.attempt") // from 1
	keyOutput    = attribute.Key("imgflow.step.output")  // what it has made, in a word
	keyAdopted   = attribute.Key("imgflow.step.adopted") // found after a crash, not made again
	keyRemoved   = attribute.Key("imgflow.removed")      // what is removed
	keyWait      = attribute.Key("imgflow.retry.wait")   // seconds until the next try
	keyMessage   = attribute.Key("imgflow.message")
	keyPipeline  = attribute.Key("cicd.pipeline.name")
	keyRunID     = attribute.Key("cicd.pipeline.run.id")
	keyAction    = attribute.Key("cicd.pipeline.action.name")
	keyResult    = attribute.Key("cicd.pipeline.result")
	keyTask      = attribute.Key("cicd.pipeline.task.name")
	keyTaskRun   = attribute.Key("cicd.pipeline.task.run.id")
	keyTaskType  = attribute.Key("cicd.pipeline.task.type")
	keyError     = attribute.Key("exception.message")
	keyErrorType = attribute.Key("error.type")

	keyTaskResult = attribute.Key("cicd.pipeline.task.run.result")

	keySystem = attribute.Key("rpc.system.name")
	keyMethod = attribute.Key("rpc.method")
	keyRegion = attribute.Key("cloud.region")

	keyThrottled = attribute.Key("imgflow.call.throttled") // how many attempts of a call were refused as too many
)

// The results of a step and of a run, in the words of the conventions.
const (
	success      = "success"
	failure      = "failure"
	cancellation = "cancellation"
	skip         = "skip"
)

// The events of a span.
const (
	eventRetry   = "retry"
	eventWarning = "warning"
	eventGone    = "vanished"
	eventAnew    = "rebuilt"
)
