#!/usr/bin/env bash
# Writes requirements/NAME.txt from requirements/NAME.in: every Python package that
# .ci/run installs, with the digests of its files, for Python 3.11 and newer on any
# system. What is there stays, unless the .in asks for another; --upgrade raises all
# of it, to releases that are at least two weeks old. A release that a .in names is
# somebody's choice, whatever its age.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3 -m venv "$tool"
"$tool/bin/pip" install -q --disable-pip-version-check uv==0.13.8
for list in *.in; do
	chosen=()
	for name in $(sed -nE 's/^([a-z0-9-]+)(\[.*\])?==.*/\1/p' "$list"); do chosen+=(--exclude-newer-package "$name=$(date -u -d tomorrow +%F)"); done
	# No address of an index: each machine has its own.
	UV_CUSTOM_COMPILE_COMMAND=scripts/lock-python.sh "$tool/bin/uv" pip compile -q --universal --python-version 3.11 --only-binary :all: --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-emit-build-options --annotation-style line --exclude-newer "$(date -u -d '14 days ago' +%F)" "${chosen[@]}" "$@" -o "${list%.in}.txt" "$list"
	echo "requirements/${list%.in}.txt: $(grep -c '==' "${list%.in}.txt") packages"
done
