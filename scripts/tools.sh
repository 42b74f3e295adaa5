#!/usr/bin/env bash
# Installs the tools of 'make lint', 'make mutants', 'make vulncheck' and 'make
# release' into $GOBIN, each at a fixed version, unless they are there already:
# all of them, or those that are named.
set -euo pipefail
: "${GOBIN:?set GOBIN to the directory to install into}"
export GOFLAGS=
mkdir -p "$GOBIN"
wanted=" $* "
install() { # name, package@version
	[ "$wanted" = "  " ] || [[ $wanted == *" $1 "* ]] || return 0
	local stamp="$GOBIN/.$1-${2##*@}"
	[ -x "$GOBIN/$1" ] && [ -e "$stamp" ] && return
	echo "installing $2"
	go install "$2"
	touch "$stamp"
}
install golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
install deadcode golang.org/x/tools/cmd/deadcode@v0.52.0
install gremlins github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
install govulncheck golang.org/x/vuln/cmd/govulncheck@v1.9.0
install cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
