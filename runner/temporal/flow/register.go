package flow

import "go.temporal.io/sdk/workflow"

// Registry takes the workflows: a worker, or a replayer of histories.
type Registry interface {
	RegisterWorkflowWithOptions(workflow any, options workflow.RegisterOptions)
}

// Register registers the workflows by their names. Activities are the worker's.
func Register(r Registry) {
	r.RegisterWorkflowWithOptions(runBatch, workflow.RegisterOptions{Name: BatchWorkflow})
	r.RegisterWorkflowWithOptions(runSingle, workflow.RegisterOptions{Name: RunWorkflow})
}
