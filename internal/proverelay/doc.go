// Package proverelay holds no product code: its tests prove, at full size,
// what Hikyaku promises about the relay. Each prints lines of the form
//
//	prove: name: figure (bar)
//
// and fails where a figure falls short of its bar. Where a guard makes the
// difference, the test runs once more with the guard taken out by a test
// double, and fails if nothing is found then.
//
// The functions are the composed handlers, started as template.yaml describes
// them: queues, schedules, settings and the loop around reconcile are read
// from there. AWS and providers are in this process, in virtual time.
//
// 'make prove-relay' runs them at full size (HIKYAKU_PROVE=full), with those of
// package webhookrelay; 'go test' runs at least a twentieth of each count.
// HIKYAKU_SEED chooses another seed for everything that is random.
package proverelay
