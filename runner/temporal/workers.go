package temporal

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
)

const (
	// lookWithin bounds one look at something that is watched.
	lookWithin = 5 * time.Second

	// workersFirst is the time that a worker has which is started together with what
	// it is to do.
	workersFirst = 2 * time.Second
	workersEvery = 5 * time.Second

	// pollAlive is how long ago a worker has polled last that is alive: a poll takes a
	// minute where there is nothing to do. The server remembers them for 5 minutes.
	pollAlive = 75 * time.Second
)

// workers watches whether there are any for a workflow, and says, once, where there
// are none.
type workers struct {
	b    *Backend
	id   string
	next time.Time // look
	said bool
}

func (b *Backend) newWorkers(id string) *workers {
	return &workers{b: b, id: id, next: time.Now().Add(workersFirst)}
}

// look looks, if it is time to. An error says that the server could not be asked.
func (w *workers) look(ctx context.Context) error {
	if w.said || time.Now().Before(w.next) {
		return nil
	}
	w.next = time.Now().Add(workersEvery)
	queue, err := w.b.unattended(ctx, w.id)
	if err == nil && queue != "" {
		w.said = true
		flag := ""
		if queue != DefaultTaskQueue {
			flag = " --task-queue " + queue
		}
		w.b.Say(fmt.Sprintf("nightshift: no worker polls task queue %s of namespace %s at %s; start one with nightshift worker%s", queue, w.b.client.namespace, w.b.client.address, flag))
	}
	return err
}

// unattended gives the task queue of a workflow that goes on, if no worker polls it;
// otherwise "".
func (b *Backend) unattended(ctx context.Context, id string) (queue string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	d, err := b.describe(ctx, "look", id)
	if err != nil || d.Status != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return "", err
	}
	// Workflows are polled for also where a worker is busy with all that it can do.
	said, err := b.client.sdk.DescribeTaskQueue(ctx, d.TaskQueueName, enums.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return "", b.client.failure(ctx, "look", err)
	}
	for _, p := range said.GetPollers() {
		if time.Since(p.GetLastAccessTime().AsTime()) < pollAlive {
			return "", nil
		}
	}
	return d.TaskQueueName, nil
}
