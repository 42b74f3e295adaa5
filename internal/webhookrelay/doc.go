// Package webhookrelay carries customers from SuperSaaS to Yappli CRM. It holds
// no code itself, only the packages below it and the tests of all of them together.
//
//	ingest     takes a webhook and puts "user 123 changed" on a queue
//	queue      what the messages are
//	mapping    the file that says what becomes of which field
//	state      what the relay remembers, one document a user or identity
//	tenant     one account and one tenant: clients, mapping, settings, state
//	plan       what would be written to a user's member, and why
//	relay      works the queue off, and alone writes to Yappli
//	reconcile  lists both sides and queues who differs
//	admin      what people do: decide on links, read histories, redrive
//	outcome    how a job ends, with a sentence for people
//
// They point one way: relay, reconcile and admin know plan, which knows tenant, which
// knows state and mapping; ingest, relay, reconcile and admin know queue. They know
// providers and seams, but neither AWS nor the environment.
//
//	m, err := mapping.Parse("config/mapping.yaml", source)
//	t, err := tenant.Open(ctx, tenant.Config{Mapping: m, ...})
//	unfinished := relay.New(t, dead, inbox).Work(ctx, deliveries)
//
// Every error class, metric and log key is a constant. No name, address or
// other field of a person leaves the packages, except in requests to Yappli.
package webhookrelay
