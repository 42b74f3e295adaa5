package localstack

import (
	"fmt"
	"time"
)

// The functions, by the names that their event folders have.
const (
	TokenRefresh = "tokenrefresh"
	Ingest       = "webhookrelayingest"
	Relay        = "webhookrelayrelay"
	Reconcile    = "webhookrelayreconcile"
	Export       = "export"
)

// The aliases of tokenrefresh, by who invokes each.
const (
	Readers  = "readers"
	Rotation = "rotation"
	Schedule = "schedule"
)

// Functions lists them in the order in which a stack uses them.
func Functions() []string { return []string{TokenRefresh, Ingest, Relay, Reconcile, Export} }

// Command returns the folder below functions/ whose binary a function is.
func Command(function string) string {
	switch function {
	case Ingest, Relay, Reconcile:
		return "webhookrelay"
	}
	return function
}

// Resource is a function's logical name in template.yaml.
func Resource(function string) string {
	return map[string]string{
		TokenRefresh: "TokenRefreshFunction", Ingest: "WebhookRelayIngestFunction", Relay: "WebhookRelayRelayFunction",
		Reconcile: "WebhookRelayReconcileFunction", Export: "ExportFunction",
	}[function]
}

// Timeout is how long a function may take, as template.yaml has it.
func Timeout(function string) time.Duration {
	return map[string]time.Duration{
		TokenRefresh: 120 * time.Second, Ingest: 10 * time.Second, Relay: 60 * time.Second, Reconcile: 600 * time.Second, Export: 900 * time.Second,
	}[function]
}

// Memory is what a function has, in MiB, as template.yaml has it.
func Memory(function string) int {
	return map[string]int{TokenRefresh: 128, Ingest: 128, Relay: 128, Reconcile: 256, Export: 128}[function]
}

// Aliases are the further qualifiers of a function, as template.yaml has them.
func Aliases(function string) []string {
	if function == TokenRefresh {
		return []string{Readers, Rotation, Schedule}
	}
	return nil
}

// own are the variables of one function, beside the common ones.
func (s *Stack) own(function string) map[string]string {
	rate := fmt.Sprint(s.rate())
	relay := map[string]string{
		"HIKYAKU_QUEUE_URL": s.queue, "HIKYAKU_DEAD_LETTER_QUEUE_URL": s.dead,
		"HIKYAKU_MAPPING_FILE": s.options.Mapping, "HIKYAKU_RELAY": "write", "HIKYAKU_ID_IS_UNIQUE_ID": "yes",
		"HIKYAKU_SUPERSAAS_RATE": rate, "HIKYAKU_YAPPLI_RATE": rate,
		"HIKYAKU_SUPERSAAS_SHARE": "0.3", "HIKYAKU_YAPPLI_SHARE": "0.3",
		"HIKYAKU_LIST_LAG": "1s",
	}
	switch function {
	case Ingest:
		relay["HIKYAKU_ROLE"] = "ingest"
	case Relay:
		relay["HIKYAKU_ROLE"] = "relay"
	case Reconcile:
		relay["HIKYAKU_ROLE"], relay["HIKYAKU_WEBHOOK_URL"] = "reconcile", s.Webhook
	case Export:
		return s.ownExport(rate)
	default:
		return nil
	}
	return relay
}

// ownExport are export's. Small pages and parts make several of each even of
// few records, and the sandboxes' own providers have no more than a share.
func (s *Stack) ownExport(rate string) map[string]string {
	return map[string]string{
		"HIKYAKU_TIME_ZONE": "Asia/Tokyo", "HIKYAKU_EXPORT_PAGE_SIZE": "40", "HIKYAKU_EXPORT_STOP_AHEAD": "2s",
		"HIKYAKU_YAPPLI_RATE": rate, "HIKYAKU_SUPERSAAS_RATE": rate, "HIKYAKU_SHOPLINE_RATE": rate, "HIKYAKU_ASSISTTENCHO_RATE": rate,
		"HIKYAKU_YAPPLI_SHARE": "0.3", "HIKYAKU_SUPERSAAS_SHARE": "0.3",
	}
}

// rate is what the sandboxes allow each account, so that the clients keep to
// the same.
func (s *Stack) rate() float64 {
	switch r := s.options.Sandbox.Rate; {
	case r > 0:
		return r
	case r < 0: // no limit
		return 1000
	}
	return 1
}
