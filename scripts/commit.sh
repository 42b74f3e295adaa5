#!/usr/bin/env bash
# Prints the commit that this source is, with -changed where files differ from it:
# what 'git archive' wrote into .git_archival.txt, or else what .git says. Prints
# nothing where neither knows, so that no other repository around this one is
# taken for ours.
set -euo pipefail
cd "$(dirname "$0")/.."
archived=$(sed -n 's/^node: //p' .git_archival.txt)
if [[ $archived =~ ^[0-9a-f]{40}$ ]]; then
	echo "$archived"
elif [ -e .git ]; then
	commit=$(git rev-parse HEAD)
	[ -z "$(git status --porcelain)" ] || commit+=-changed # new files count, too: Go would compile them
	echo "$commit"
fi
