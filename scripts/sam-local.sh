#!/usr/bin/env bash
# Runs the lines of docs/operate.md, "Running a function under SAM", and then every
# function with every event file in a container, by 'sam local invoke', and compares
# each answer with 'hikyaku invoke'. Needs sam, Docker and
# busybox-static; .ci/run installs them. No image is pulled: the base image is
# made here of busybox alone, since a bootstrap that is linked statically needs
# nothing else. Arguments name the functions to try; none means all.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || docker info >/dev/null 2>&1 || { echo 'sam-local: needs a Docker daemon, or root to start one' >&2; exit 1; }
export SAM_CLI_TELEMETRY=0
# Outside the checkout, which 'sam build' copies whole for each function.
home=${XDG_CACHE_HOME:-$HOME/.cache}/hikyaku-ci
for sam in sam "$home/venv-sam/bin/sam"; do command -v "$sam" >/dev/null && break; done
command -v "$sam" >/dev/null || { echo "sam-local: sam is not installed; '.ci/run install' does" >&2; exit 1; }

cache=$home/sam-local
rm -rf "$cache"
mkdir -p "$cache"
pids=()
stop() {
	local p
	for p in "${pids[@]}"; do
		kill "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
}
trap stop EXIT

if ! docker info >/dev/null 2>&1; then
	dockerd >"$cache/dockerd.log" 2>&1 &
	pids+=($!)
	for _ in $(seq 150); do docker info >/dev/null 2>&1 && break; sleep 0.2; done
	docker info >/dev/null 2>&1 || { echo 'sam-local: dockerd did not start' >&2; tail -20 "$cache/dockerd.log" >&2; exit 1; }
fi

# The base image: a shell and what SAM's runtime emulator calls.
image=public.ecr.aws/lambda/provided
busybox=$(command -v busybox)
fs=$cache/root
mkdir -p "$fs"/{bin,etc,tmp,var/task,var/runtime}
cp "$busybox" "$fs/bin/busybox"
for tool in sh mv chmod ls cat mkdir rm; do ln -s busybox "$fs/bin/$tool"; done
printf 'root:x:0:0::/root:/bin/sh\n' >"$fs/etc/passwd"
chmod 1777 "$fs/tmp"
tar -C "$fs" -c . | docker import --change 'ENTRYPOINT ["/bin/sh"]' - "$image:hikyaku" >/dev/null
for tag in al2023 al2023-x86_64 al2023-arm64; do docker tag "$image:hikyaku" "$image:$tag"; done

# The page's lines, as they stand there. What they build is this machine's architecture,
# so that nothing is emulated.
sed -n '/^## Running a function under SAM$/,/^## /p' docs/operate.md | sed -n '/^```sh$/,/^```$/p' | sed '/^```/d' >"$cache/page.sh"
[ "$(wc -l <"$cache/page.sh")" = 6 ] || { echo 'sam-local: docs/operate.md does not have six lines' >&2; exit 1; }
sed -i "1i trap 'kill \$(jobs -p) 2>/dev/null || true' EXIT" "$cache/page.sh"
PATH="$(dirname "$(command -v "$sam")"):$PATH" SAM_SKIP_PULL_IMAGE=1 AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
	timeout 300 bash -eu "$cache/page.sh" >"$cache/page.log" 2>&1 || { echo 'sam-local: the lines of docs/operate.md fail' >&2; tail -40 "$cache/page.log" >&2; exit 1; }
refreshed=$(grep -oE '"outcome": ?"refreshed", ?"reason": ?"no token yet"' "$cache/page.log" | wc -l)
[ "$refreshed" = 5 ] || { echo "sam-local: the lines of docs/operate.md refresh $refreshed of 5 tokens" >&2; tail -40 "$cache/page.log" >&2; exit 1; }
cp -R .aws-sam/build "$cache/build"
go run ./scripts/checkbuild "$cache/build"

# Two equal stacks: one that the containers reach, one for the command line.
go build -o "$cache/hikyaku" ./cmd/hikyaku
# The bridge's own address: after its very first start Docker knows no gateway.
gateway=$(ip -4 -o addr show docker0 | sed -nE 's/.* inet ([0-9.]+).*/\1/p')
[ -n "$gateway" ] || { echo "sam-local: Docker's bridge docker0 has no address" >&2; exit 1; }
stack() { # name, host, flags
	local name=$1 host=$2 pid port
	shift 2
	for _ in $(seq 3); do
		"$cache/hikyaku" sandbox --connected --idle --json --write-env "$cache/$name" --records 50 --rate 1000 "$@" >"$cache/$name.json" 2>"$cache/$name.log" &
		pid=$!
		pids+=("$pid")
		for _ in $(seq 100); do [ -s "$cache/$name.json" ] && break; sleep 0.1; done
		sleep 1
		port=$(sed -nE 's/.*"AWS_ENDPOINT_URL":"[^"]*:([0-9]+)".*/\1/p' "$cache/$name.json" | head -1)
		kill -0 "$pid" 2>/dev/null && curl -s -o /dev/null --max-time 5 --retry 5 --retry-delay 1 --retry-all-errors "http://$host:$port/" && return
		kill "$pid" 2>/dev/null || true
		sleep 2
	done
	echo "sam-local: the stack '$name' did not start" >&2
	cat "$cache/$name.log" >&2
	exit 1
}
stack container "$gateway" --addr "$gateway:0" --expose --public host.docker.internal
stack process 127.0.0.1

status=0
go run ./scripts/samlocal -sam "$sam" -dir "$cache" "$@" || status=$?
for p in "${pids[@]}"; do # an answer that differs may only say that somebody ended a stack
	kill -0 "$p" 2>/dev/null && continue
	wait "$p" || echo "sam-local: a stack or the daemon (process $p) had ended before, with status $?" >&2
done
exit "$status"
