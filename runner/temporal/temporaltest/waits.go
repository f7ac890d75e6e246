package temporaltest

import (
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// Waits makes an environment of the SDK's test suite wait for activities that are
// cancelled, as a server does where WaitForCancellation is set; by itself it takes them
// for ended. It is one of its worker's Interceptors.
type Waits struct {
	interceptor.WorkerInterceptorBase
	Cancelled func(in any) // is called with the argument of an activity that is cancelled
}

// InterceptWorkflow is called by the SDK.
func (w *Waits) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	return &waitsIn{interceptor.WorkflowInboundInterceptorBase{Next: next}, w}
}

type waitsIn struct {
	interceptor.WorkflowInboundInterceptorBase
	waits *Waits
}

func (w *waitsIn) Init(next interceptor.WorkflowOutboundInterceptor) error {
	return w.Next.Init(&waitsOut{interceptor.WorkflowOutboundInterceptorBase{Next: next}, w.waits})
}

type waitsOut struct {
	interceptor.WorkflowOutboundInterceptorBase
	waits *Waits
}

func (w *waitsOut) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	lasting, _ := workflow.NewDisconnectedContext(ctx)
	work := w.Next.ExecuteActivity(lasting, name, args...)
	workflow.Go(lasting, func(lasting workflow.Context) {
		ctx.Done().Receive(lasting, nil)
		w.waits.Cancelled(args[0])
	})
	return work
}
