#!/usr/bin/env bash
# Runs the tests again and again beside a load of four busy processes, to find
# those that fail by chance: scripts/steady.sh [runs]. What passed is noted for the
# commit, so that it can be ended at any time and goes on where it was.
set -euo pipefail
runs=${1:-20}
dir=.cache/steady/$(git describe --always --dirty --abbrev=12)
mkdir -p "$dir"

busy=()
trap 'kill "${busy[@]}" 2>/dev/null || true' EXIT
for _ in 1 2 3 4; do
	sh -c 'while :; do :; done' &
	busy+=($!)
done

for n in $(seq "$runs"); do
	[ -e "$dir/$n.passed" ] && continue
	began=$SECONDS
	if ! go test -count=1 ./... >"$dir/$n.txt" 2>&1; then
		grep -v 'no test files' "$dir/$n.txt"
		echo "steady: run $n of $runs failed; its output is $dir/$n.txt"
		exit 1
	fi
	mv "$dir/$n.txt" "$dir/$n.passed"
	echo "steady: run $n of $runs passed in $((SECONDS - began)) s"
done
echo "prove: runs of the tests beside a load of 4 that failed: 0 of $runs (none)"
