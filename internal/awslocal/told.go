package awslocal

import "sync"

// Told is what services show that are not run here: alarms and measurements, topics,
// executions, and limits of the account. Each shows what it was told.
type Told struct {
	stacks   stacks
	watch    watch
	topics   topics
	machines machines
	logs     logGroups

	mu      sync.Mutex
	account int // invocations at a time that the account may have; 0: newAccount
}

// SetAccountLimit says how many invocations at a time Lambda shows that the account may
// have. Nothing holds the functions to it.
func (t *Told) SetAccountLimit(invocations int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.account = invocations
}
