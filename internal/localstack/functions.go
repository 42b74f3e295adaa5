package localstack

import (
	"fmt"
	"strings"
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
	Operator = "operator"
	Readers  = "readers"
	Rotation = "rotation"
	Schedule = "schedule"
	Watch    = "watch"
)

// Functions lists them in the order in which a stack uses them.
func Functions() []string { return []string{TokenRefresh, Ingest, Relay, Reconcile, Export} }

// specs are the functions as template.yaml has them.
var specs = map[string]struct {
	resource, command, role string
	timeout                 time.Duration
	memory                  int
}{
	TokenRefresh: {resource: "TokenRefreshFunction", command: "tokenrefresh", timeout: 120 * time.Second, memory: 128},
	Ingest:       {"WebhookRelayIngestFunction", "webhookrelay", "ingest", 10 * time.Second, 128},
	Relay:        {"WebhookRelayRelayFunction", "webhookrelay", "relay", 60 * time.Second, 128},
	Reconcile:    {"WebhookRelayReconcileFunction", "webhookrelay", "reconcile", 600 * time.Second, 256},
	Export:       {resource: "ExportFunction", command: "export", timeout: 900 * time.Second, memory: 128},
}

// Command returns the folder below functions/ whose binary a function is.
func Command(function string) string { return specs[function].command }

// Resource is a function's logical name in template.yaml.
func Resource(function string) string { return specs[function].resource }

// LogResource is the logical name of a function's log group in template.yaml.
func LogResource(function string) string {
	return strings.TrimSuffix(specs[function].resource, "Function") + "Log"
}

// Timeout is how long a function may take.
func Timeout(function string) time.Duration { return specs[function].timeout }

// Memory is what a function has, in MiB.
func Memory(function string) int { return specs[function].memory }

// Aliases are the further qualifiers of a function, as template.yaml has them.
func Aliases(function string) []string {
	if function == TokenRefresh {
		return []string{Operator, Readers, Rotation, Schedule, Watch}
	}
	return nil
}

// own are the variables of one function, beside the common ones.
func (s *Stack) own(function string) map[string]string {
	rate := fmt.Sprint(s.rate())
	switch function {
	case TokenRefresh:
		return nil
	case Export:
		return s.ownExport(rate)
	}
	relay := map[string]string{
		"HIKYAKU_ROLE": specs[function].role, "HIKYAKU_QUEUE_URL": s.queue, "HIKYAKU_DEAD_LETTER_QUEUE_URL": s.dead,
		"HIKYAKU_MAPPING_FILE": s.options.Mapping, "HIKYAKU_RELAY": "write", "HIKYAKU_ID_IS_UNIQUE_ID": "yes",
		"HIKYAKU_SUPERSAAS_RATE": rate, "HIKYAKU_YAPPLI_RATE": rate,
		"HIKYAKU_SUPERSAAS_SHARE": "0.3", "HIKYAKU_YAPPLI_SHARE": "0.3",
		"HIKYAKU_LIST_LAG": "1s",
	}
	if function == Reconcile {
		relay["HIKYAKU_WEBHOOK_URL"] = s.Webhook
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
