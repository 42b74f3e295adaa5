package awslocal

import (
	"context"
	"sync"
)

// jobs is the work that goes on after the call that began it was answered.
type jobs struct {
	ctx    context.Context // ends with the local AWS
	cancel context.CancelFunc
	work   sync.WaitGroup
}

func newJobs() *jobs {
	j := &jobs{}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j
}

// begin runs f until it ends or the local AWS does.
func (j *jobs) begin(f func(ctx context.Context)) {
	j.work.Go(func() { f(j.ctx) })
}
