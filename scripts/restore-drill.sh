#!/usr/bin/env bash
# Runs the restore drill of docs/operate.md as it stands there, on a bucket that
# keeps old versions and holds a real export:
#
#	scripts/restore-drill.sh ENDPOINT HIKYAKU
#
# ENDPOINT is a moto server; HIKYAKU the command. Secrets are the local AWS's, since
# moto goes on serving the newest version when the label AWSCURRENT is moved. The
# comparison of step 4 needs a deployed function and is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
endpoint=${1:?usage: $0 ENDPOINT HIKYAKU} hikyaku=${2:?usage: $0 ENDPOINT HIKYAKU}
work=$(mktemp -d)
trap 'kill "$sandboxes"; rm -rf "$work"' EXIT
timeout 300 "$hikyaku" sandbox aws yappli --records 20 --json >"$work/sandboxes.json" &
sandboxes=$!
for _ in $(seq 100); do [ -s "$work/sandboxes.json" ] && break; sleep 0.1; done
of() { jq -ce ".services[] | select(.name == \"$1\") | $2" "$work/sandboxes.json"; }

export AWS_ENDPOINT_URL=$endpoint AWS_REGION=ap-northeast-1 AWS_DEFAULT_REGION=ap-northeast-1
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_EC2_METADATA_DISABLED=true AWS_PAGER=
export HIKYAKU_ALLOW_HOSTS=127.0.0.1
secret() { aws secretsmanager create-secret --name "hikyaku/$1" --secret-string file:///dev/stdin >"$work/created"; }
of yappli .connection | secret yappli/connection # of moto, where the command looks for it
export AWS_ENDPOINT_URL_SECRETS_MANAGER # heeded by the AWS command line alone
AWS_ENDPOINT_URL_SECRETS_MANAGER=$(of aws .url | tr -d '"')
echo '{"provider":"supersaas","account":"mihon_salon"}' | secret supersaas/connection
aws s3 mb s3://drilled-shop
"$hikyaku" tokens refresh yappli --prefix hikyaku --bucket drilled-shop
"$hikyaku" export yappli/users --prefix hikyaku --to s3://drilled-shop/hikyaku
for row in 1 2 3; do echo "{}" | aws s3 cp - "s3://drilled-shop/hikyaku/state/relay/0123/rows/$row"; done

# The blocks of the section, without the one that names a deployed stack.
awk '/^## /{on = $0 == "## A restore drill"} on' docs/operate.md | awk '
	/^ *```sh/ {inside = 1; block = ""; next}
	/^ *```/ {if (inside && block !~ /STACK/) printf "%s", block; inside = 0; next}
	inside {block = block $0 "\n"}' | sed 's/SOURCE=BUCKET DRILL=BUCKET-drill/SOURCE=drilled-shop DRILL=drilled-shop-drill/' >"$work/drill.sh"
export PATH="$work:$PATH"
ln -s "$(realpath "$hikyaku")" "$work/hikyaku"
(cd "$work" && bash -euo pipefail drill.sh) | tee "$work/out"

# want COUNT TEXT: lines of the drill
want() {
	if [ "$(grep -cxE "$2" "$work/out")" != "$1" ]; then
		echo "restore-drill: want $1 lines '$2'" >&2
		exit 1
	fi
}
want 1 'lost, as it should be'
want 1 'proved: .*'
want 1 'hikyaku/exports/yappli/users/.*/_manifest.json' # of latest.json, after it was spoiled
want 2 3                                                # objects of state before the loss and after it
want 1 0
want 2 mihon_salon
want 1 'remove_bucket: drilled-shop-drill'
