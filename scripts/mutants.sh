#!/usr/bin/env bash
# Mutation tests of the cores and the shared client. Prints, for each package,
# the share of the mutants that the tests cover and kill, and fails below the
# bar. Usage: mutants.sh [PACKAGE ...]
set -euo pipefail
cd "$(dirname "$0")/.."
declare -A bars=([internal/tokenrefresh/protocol]=95) # every decision stands in a table
gremlins=${GREMLINS:-.cache/tools/gremlins}
# Tests of the tests, the random schedules and the longest crash scenarios take most
# of the time; without them the share can only be lower.
export GOFLAGS='-vet=off -skip=FindEachMissingGuard|IsFoundWithoutTheGuards|Schedules_Converge|LosesAndDoublesNothing/mixed_batch|takeover|linking|array'
packages=("$@")
[ ${#packages[@]} -gt 0 ] || packages=(pkg/providers/internal/call internal/tokenrefresh internal/tokenrefresh/protocol internal/webhookrelay internal/webhookrelay/ingest internal/export)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
go clean -testcache # a remembered run takes no time, and every mutant would seem to take too long
failed=0
for p in "${packages[@]}"; do
	bar=${BAR:-${bars[$p]:-70}}
	log=$out/$(basename "$p").log
	"$gremlins" unleash --workers 2 --timeout-coefficient "${COEFFICIENT:-8}" "./$p" >"$log" 2>&1 || true
	share=$(sed -n 's/^Test efficacy: \([0-9.]*\)%.*/\1/p' "$log")
	counts=$(grep -E '^(Killed|Timed out)' "$log" | tr '\n' ' ')
	echo "mutants $p: ${share:-none}% killed (bar $bar%) $counts"
	if [ -z "$share" ] || awk "BEGIN{exit !($share < $bar)}"; then
		grep -E '^ *(LIVED|NOT COVERED)' "$log" | head -40 || true
		failed=1
	fi
done
exit $failed
