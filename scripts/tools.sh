#!/usr/bin/env bash
# Installs the tools of 'make lint' and 'make mutants' into $GOBIN, each at a
# fixed version, unless they are there already.
set -euo pipefail
: "${GOBIN:?set GOBIN to the directory to install into}"
export GOFLAGS=
mkdir -p "$GOBIN"
install() { # name, package@version
	local stamp="$GOBIN/.$1-${2##*@}"
	[ -x "$GOBIN/$1" ] && [ -e "$stamp" ] && return
	echo "installing $2"
	go install "$2"
	touch "$stamp"
}
install golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
install deadcode golang.org/x/tools/cmd/deadcode@v0.52.0
install gremlins github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
