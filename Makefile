# Hikyaku. 'make help' lists the targets. Everything but sam-local needs only Go.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The functions are linked statically and stripped, on every machine: a
# bootstrap linked against the build machine's C library does not start on
# Amazon Linux 2023.
GOBUILD := CGO_ENABLED=0 GOOS=linux go build -trimpath -tags lambda.norpc -ldflags '-s -w'
FUNCTIONS := tokenrefresh webhookrelay export
TOOLS := .cache/tools

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-zA-Z_-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: check
check: lint test ## what a change must pass: lint and tests

.PHONY: test
test: ## run the tests; needs only Go
	go test ./...

.PHONY: demo
demo: ## show the whole job on this machine
	go run ./cmd/hikyaku demo

.PHONY: build
build: ## build the functions for both architectures into dist/
	@for arch in arm64 amd64; do for f in $(FUNCTIONS); do \
		mkdir -p dist/$$arch/$$f; \
		GOARCH=$$arch $(GOBUILD) -o dist/$$arch/$$f/bootstrap ./functions/$$f; \
	done; done; cp config/mapping.yaml dist/arm64/webhookrelay/; cp config/mapping.yaml dist/amd64/webhookrelay/
	@go run ./scripts/checkbuild dist

.PHONY: lint
lint: tools ## run the linters and look for dead code
	$(TOOLS)/golangci-lint run ./...
	@dead=$$($(TOOLS)/deadcode -test ./...); test -z "$$dead" || { echo "$$dead"; exit 1; }

.PHONY: tools
tools: ## install the linters into .cache/tools
	@GOBIN=$(CURDIR)/$(TOOLS) scripts/tools.sh

.PHONY: bench
bench: ## time to ready and to the first answer of each function, beside a bare handler
	go run ./scripts/coldstart

.PHONY: bench-export
bench-export: ## processor time of an export beside the least that any needs, and beside other ways
	@$(PROVE) -run '^TestCPU$$' ./internal/proveexport | $(FIGURES)

.PHONY: mutants
mutants: tools ## mutation tests of the cores and the shared client; prints the share killed
	scripts/mutants.sh

# Prints each promise as name: figure (bar). The simulated months run apart and
# one after the other, because they are held to a minute of real time each.
PROVE := HIKYAKU_PROVE=full go test -count=1 -timeout 90m -v
FIGURES := sed -nE -e 's/^prove: //p' -e 's/^ +crash_test.go:[0-9]+: //p' -e '/FAIL|panic:|_test.go:/p'

.PHONY: prove-steady
prove-steady: ## run the tests 20 times beside a load of 4; goes on where it was ended
	scripts/steady.sh

.PHONY: prove-tokens
prove-tokens: ## prove at full size what is promised about tokens
	@$(PROVE) -parallel 1 -run Month ./internal/provetokens | $(FIGURES)
	@$(PROVE) -skip Month ./internal/provetokens | $(FIGURES)
	@$(PROVE) -run '^TestAuthorizeOver' ./cmd/hikyaku | $(FIGURES)
	@$(PROVE) -run 'Conform' ./internal/secretstore/... ./internal/awslocal | $(FIGURES)
	@$(PROVE) -run '^TestCrash_' ./internal/tokenrefresh | $(FIGURES)

.PHONY: prove-relay
prove-relay: ## prove at full size what is promised about the relay
	@$(PROVE) ./internal/proverelay | $(FIGURES)
	@$(PROVE) -run 'ProveIngest' ./internal/lambdafn/relayfn | $(FIGURES)
	@$(PROVE) -run 'Crash|Schedule|ProveUnreadable' ./internal/webhookrelay | $(FIGURES)
	@$(PROVE) -run 'Prove' ./internal/webhookrelay/mapping | $(FIGURES)

.PHONY: prove-export
prove-export: prove-export-lies prove-export-memory ## prove at full size what is promised about exports
	@$(PROVE) -skip 'Lies|Healthy|Worst' ./internal/proveexport | $(FIGURES)
	@$(PROVE) ./internal/export ./internal/pagination | $(FIGURES)

.PHONY: prove-export-lies
prove-export-lies: # providers that lie, and those that do not; half an hour
	@$(PROVE) -run 'Lies|Healthy' ./internal/proveexport | $(FIGURES)

.PHONY: prove-export-memory
prove-export-memory: # the real binaries under the worst answers; half an hour
	@$(PROVE) -run 'Worst' ./internal/proveexport | $(FIGURES)

.PHONY: sam-local
sam-local: ## run every function with every event in Docker and compare with 'hikyaku invoke'
	scripts/sam-local.sh

# What 'sam build' calls, once for each function of template.yaml.
.PHONY: build-TokenRefreshFunction build-ExportFunction
build-TokenRefreshFunction:
	GOARCH=$${GOARCH:-arm64} $(GOBUILD) -o $(ARTIFACTS_DIR)/bootstrap ./functions/tokenrefresh
build-ExportFunction:
	GOARCH=$${GOARCH:-arm64} $(GOBUILD) -o $(ARTIFACTS_DIR)/bootstrap ./functions/export
.PHONY: build-WebhookRelayIngestFunction build-WebhookRelayRelayFunction build-WebhookRelayReconcileFunction
build-WebhookRelayIngestFunction build-WebhookRelayRelayFunction build-WebhookRelayReconcileFunction:
	GOARCH=$${GOARCH:-arm64} $(GOBUILD) -o $(ARTIFACTS_DIR)/bootstrap ./functions/webhookrelay
	cp config/mapping.yaml $(ARTIFACTS_DIR)/mapping.yaml
