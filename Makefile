# Hikyaku. 'make help' lists the targets. Everything but sam-local needs only Go.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The functions are linked statically and stripped, on every machine: a
# bootstrap linked against the build machine's C library does not start on
# Amazon Linux 2023.
# They hold neither version nor commit, nor what git knows, so that a function
# stays the same to the byte, and is not deployed again, until its own code changes.
GOBUILD := CGO_ENABLED=0 GOOS=linux go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags '-s -w'
FUNCTIONS := tokenrefresh webhookrelay export
ARCHES := arm64 amd64
TOOLS := .cache/tools

# The command knows both; the one of 'make install' is the one of 'make release'.
COMMIT = $(shell scripts/commit.sh)
COMMANDFLAGS = -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(shell cat VERSION) -X main.commit=$(COMMIT)'

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

.PHONY: install
install: ## put the command into the folder of 'go install', and say whether that is on the path
	@CGO_ENABLED=0 go install $(COMMANDFLAGS) ./cmd/hikyaku
	@dir=$$(go env GOBIN); dir=$${dir:-$$(go env GOPATH | cut -d: -f1)/bin}; echo "installed $$dir/hikyaku"; \
	case ":$$PATH:" in *":$$dir:"*) ;; *) echo "$$dir is not on the path; add it: export PATH=\"$$dir:\$$PATH\"" ;; esac

.PHONY: build
build: ## build the functions for both architectures into dist/
	@for arch in $(ARCHES); do for f in $(FUNCTIONS); do \
		mkdir -p dist/$$arch/$$f; \
		GOARCH=$$arch $(GOBUILD) -o dist/$$arch/$$f/bootstrap ./functions/$$f; \
	done; cp config/mapping.yaml dist/$$arch/webhookrelay/; done
	@go run ./scripts/checkbuild dist

# What a release is built for, and settings of a person or a machine that would
# change the files. The toolchain is the one that go.mod names, which the Go
# command fetches where it has another.
SYSTEMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
release: export GOTOOLCHAIN := $(shell sed -n 's/^toolchain //p' go.mod)
release: export GOFLAGS := -mod=readonly
release: export GOWORK := off
release: export GOEXPERIMENT :=
release: export GOFIPS140 := off
release: export GOAMD64 := v1
release: export GOARM64 := v8.0

.PHONY: release
release: ## make the files of a release in dist/release: command, functions, bills of materials, checksums
	@rm -rf dist
	@GOBIN=$(CURDIR)/$(TOOLS) scripts/tools.sh cyclonedx-gomod
	@$(MAKE) -s build
	@for s in $(SYSTEMS); do \
		mkdir -p dist/command/$${s/\//_}; \
		CGO_ENABLED=0 GOOS=$${s%/*} GOARCH=$${s#*/} go build $(COMMANDFLAGS) -o dist/command/$${s/\//_}/ ./cmd/hikyaku; \
	done
	@go run ./scripts/release -bom $(TOOLS)/cyclonedx-gomod -commit "$(COMMIT)"

.PHONY: prove-release
prove-release: ## prove that every file of a release is the same wherever it is built
	scripts/release-reproducible.sh

.PHONY: lint
lint: tools ## run the linters and look for dead code
	$(TOOLS)/golangci-lint run ./...
	@dead=$$($(TOOLS)/deadcode -test ./...); test -z "$$dead" || { echo "$$dead"; exit 1; }

.PHONY: vulncheck
vulncheck: ## look for known vulnerabilities that our code reaches
	@GOBIN=$(CURDIR)/$(TOOLS) scripts/tools.sh govulncheck
	@PATH="$(CURDIR)/$(TOOLS):$$PATH" scripts/vulncheck/run.sh

.PHONY: tools
tools: ## install the tools of all targets into .cache/tools
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

.PHONY: prove-state
prove-state: ## prove at full size that a killed development stack loses nothing
	@$(PROVE) -run 'Kill|Prove|WaitingMessages|QueueIsTheModel' ./internal/boltkeeper ./internal/awslocal | $(FIGURES)

.PHONY: prove-dev
prove-dev: ## prove at full size that a stack of 'hikyaku dev' loses nothing, however it ends
	@$(PROVE) -run 'Dev_' ./cmd/hikyaku | $(FIGURES)

.PHONY: prove-relay
prove-relay: ## prove at full size what is promised about the relay
	@$(PROVE) ./internal/proverelay | $(FIGURES)
	@$(PROVE) -run 'ProveIngest' ./internal/lambdafn/relayfn | $(FIGURES)
	@$(PROVE) -run 'Crash|Schedule|ProveUnreadable' ./internal/webhookrelay | $(FIGURES)
	@$(PROVE) -run 'Prove' ./internal/webhookrelay/mapping ./internal/webhookrelay/admin | $(FIGURES)

.PHONY: prove-export
prove-export: prove-export-lies prove-export-memory ## prove at full size what is promised about exports
	@$(PROVE) -skip 'Lies|Healthy|Worst' ./internal/proveexport | $(FIGURES)
	@$(PROVE) ./internal/export ./internal/pagination | $(FIGURES)
	@$(PROVE) -run 'Prove' ./internal/export/records | $(FIGURES)

.PHONY: prove-export-lies
prove-export-lies: # providers that lie, and those that do not; half an hour
	@$(PROVE) -run 'Lies|Healthy' ./internal/proveexport | $(FIGURES)

.PHONY: prove-export-memory
prove-export-memory: # the real binaries under the worst answers; half an hour
	@$(PROVE) -run 'Worst' ./internal/proveexport | $(FIGURES)

.PHONY: prove-operate
prove-operate: ## prove on another's emulator of AWS what is promised about deploying, operating and upgrading
	.ci/run install ministack upgrade

.PHONY: console-assets
console-assets: ## bundle what the console's pages load; needs npm
	cd internal/console/assets && npm ci --silent --ignore-scripts --no-audit --no-fund && go run .

.PHONY: prove-console
prove-console: ## prove in a browser, at full size, what is promised about the console; needs npm and chromium
	cd internal/console/browsertest && npm ci --silent --ignore-scripts --no-audit --no-fund
	CGO_ENABLED=0 go build $(COMMANDFLAGS) -o $(TOOLS)/hikyaku ./cmd/hikyaku
	@cd internal/console/browsertest && HIKYAKU_BIN=$(CURDIR)/$(TOOLS)/hikyaku $(PROVE) -parallel 4 ./... | sed -nE -e 's/^ +[a-z]+_test.go:[0-9]+: prove: //p' -e '/FAIL|panic:|_test.go:/p'

.PHONY: console-pictures
console-pictures: ## take the pictures of docs/images anew; needs npm and chromium
	CGO_ENABLED=0 go build $(COMMANDFLAGS) -o $(TOOLS)/hikyaku ./cmd/hikyaku
	cd internal/console/browsertest && HIKYAKU_BIN=$(CURDIR)/$(TOOLS)/hikyaku HIKYAKU_PICTURES=$(CURDIR)/docs/images go test -count=1 -run Moments .

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
