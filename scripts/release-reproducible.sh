#!/usr/bin/env bash
# Proves that the files of a release are the same to the byte wherever they are
# built. The commit that is checked out is built twice, each time with an empty
# build cache: in a clone, and in another folder without version control, in
# another time zone and under another umask. Arguments are for make, to prove less
# in less time: SYSTEMS=linux/amd64 ARCHES=amd64
set -euo pipefail
cd "$(dirname "$0")/.."
tools=${TOOLS:-$PWD/.cache/tools}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
version=$(cat VERSION) commit=$(scripts/commit.sh)
commit=${commit%-changed}

one=$work/one two=$work/a/longer/path/two
mkdir -p "$two"
if [ -e .git ]; then
	git clone -q --no-checkout . "$one"
	git -C "$one" checkout -q --detach "$commit"
	git archive "$commit" | tar -x -C "$two"
	[ -z "$(git status --porcelain)" ] || echo "note: files differ from $commit; what is proved is that commit"
else
	echo 'note: no .git here, so what it would change is not shown'
	mkdir "$one"
	for to in "$one" "$two"; do tar -c --exclude=./.cache --exclude=./dist . | tar -x -C "$to"; done
fi

# The tool's own program is not part of a release, and is built once.
GOBIN=$tools scripts/tools.sh cyclonedx-gomod
for tree in "$one" "$two"; do mkdir "$tree/.cache" && ln -s "$tools" "$tree/.cache/tools"; done

build() { # folder, name of its cache, arguments of make
	local tree=$1 cache=$work/cache-$2
	shift 2
	GOCACHE=$cache make -s -C "$tree" release "$@" >"$work/log" 2>&1 || { cat "$work/log"; return 1; }
	(cd "$tree/dist/release" && sha256sum --quiet --check SHA256SUMS)
	# The same function where the Go command may note what git knows.
	(cd "$tree" && GOCACHE=$cache GOFLAGS=-buildvcs=auto CGO_ENABLED=0 go build -trimpath -o "$tree.noted" ./functions/export)
	rm -rf "$cache"
}
began=$SECONDS
(build "$one" one "$@")
(umask 077 && TZ=Asia/Tokyo LC_ALL=C build "$two" two "$@")

if ! diff "$one/dist/release/SHA256SUMS" "$two/dist/release/SHA256SUMS"; then
	echo "the files differ between a clone and a folder without version control"
	exit 1
fi
if [ -e .git ] && cmp -s "$one.noted" "$two.noted"; then
	echo 'a build that may note what git knows is the same without git: this proof cannot fail'
	exit 1
fi
binary=$one/dist/command/$(go env GOOS)_$(go env GOARCH)/hikyaku
if [ -x "$binary" ]; then
	said=$("$binary" --version)
	[[ $said == "hikyaku $version (commit ${commit:-unknown}"* || $said == "hikyaku $version (unknown commit"* && -z $commit ]] || { echo "the command says: $said"; exit 1; }
	echo "$said"
fi
sed -E 's/^(.{16})[0-9a-f]*/\1/' "$one/dist/release/SHA256SUMS"
echo "release: $(wc -l <"$one/dist/release/SHA256SUMS") files the same in two folders, with and without .git, from empty caches, in $((SECONDS - began)) s"
