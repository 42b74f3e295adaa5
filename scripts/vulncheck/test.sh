#!/usr/bin/env bash
# Shows that the scan finds what there is, with a database of one invented
# vulnerability that we reach, and one that we do not; that it does not fail for a
# network that is not there, and says so; and that nothing else passes for that.
set -euo pipefail
cd "$(dirname "$0")"
control=file://$PWD/control
expect() { # what, exit code, text, arguments
	local what=$1 code=$2 text=$3 status=0 said
	shift 3
	said=$("$@" 2>&1) || status=$?
	[ "$status" -eq "$code" ] && [[ $said == *"$text"* ]] || { echo "vulncheck: $what: exit code $status, want $code and '$text':"; echo "$said"; exit 1; }
}
expect 'a vulnerability that we reach' 3 'GO-2000-0001' ./run.sh -db "$control" ./scripts/checkbuild
expect 'one that we do not reach' 0 'No vulnerabilities found' ./run.sh -db "$control" ./internal/spelling
expect 'no network' 0 'NOT CHECKED' env HTTPS_PROXY=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 NO_PROXY= no_proxy= ./run.sh ./internal/spelling
expect 'no such package' 1 'errors with the provided package patterns' ./run.sh -db "$control" ./nosuch
expect 'no database at all' 1 'no such file' ./run.sh -db file:///nowhere.example ./internal/spelling
echo 'vulncheck: finds what there is, and says when it cannot look'
