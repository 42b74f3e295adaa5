// Package webhookrelay carries customers from SuperSaaS to Yappli CRM. It is
// the core of the roles relay and reconcile of one function, and knows providers
// and seams, but neither AWS nor the environment.
//
// Package ingest takes a webhook and puts "user 123 changed" on a FIFO queue;
// package queue says what the messages are. Relay takes them off the queue,
// reads the user from SuperSaaS, maps the fields, and creates, updates,
// disables or restores the Yappli member, under the row protocol of
// docs/relay-protocol.md. Reconciler lists both sides and puts the users that
// differ on the same queue. Only Relay writes to Yappli.
//
// Relay and Reconciler work on a Stack: one SuperSaaS account, one Yappli
// tenant, one identity setting. Open binds it; its state lies under a
// fingerprint of these, so that none of it can be applied to another pair.
//
//	m, err := mapping.Parse("config/mapping.yaml", source)
//	stack, err := webhookrelay.Open(ctx, webhookrelay.Config{Mapping: m, ...})
//	report := stack.Relay(queue, dead, inbox).Work(ctx, deliveries)
//
// Read in this order: job.go (the steps of a job), upsert.go (its write),
// identity.go (who may create), links.go (who may be linked), row.go (the
// document), then reconcile.go and reconcile_*.go (its phases in order), table.go
// (a record's flags). decide.go is what people do, observe.go what is said without
// writing, package outcome how a job ends, package operate what commands do.
//
// Every error class, metric and log key is a constant. No name, address or
// other field of a person leaves the package, except in requests to Yappli.
package webhookrelay
