#!/bin/sh
# Runs the AWS CLI against an endpoint, by AWS_ENDPOINT_URL alone, and asserts
# what it prints. .ci/run gives it the local AWS:
#
#	scripts/aws-cli-smoke.sh http://127.0.0.1:4566
#
# The endpoint must have the bucket "hikyaku", as the local AWS does, and no
# other state. HIKYAKU_SMOKE_FUNCTION may name a function there that answers
# its event; without it only the refusal of an unknown one is checked.
set -eu

endpoint=${1:?usage: $0 ENDPOINT}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AWS_ENDPOINT_URL="$endpoint" AWS_REGION=ap-northeast-1 AWS_DEFAULT_REGION=ap-northeast-1
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_EC2_METADATA_DISABLED=true AWS_PAGER= AWS_MAX_ATTEMPTS=1
export AWS_CONFIG_FILE="$work/config"
printf '[default]\ns3 =\n  addressing_style = path\n' >"$AWS_CONFIG_FILE"

checks=0

# is NAME GOT WANT
is() {
	checks=$((checks + 1))
	if [ "$2" != "$3" ]; then
		printf 'aws-cli-smoke: %s: got "%s", want "%s"\n' "$1" "$2" "$3" >&2
		exit 1
	fi
}

# refused NAME PATTERN COMMAND...: the command must fail and say PATTERN.
refused() {
	name=$1 pattern=$2
	shift 2
	checks=$((checks + 1))
	if "$@" >"$work/out" 2>&1; then
		printf 'aws-cli-smoke: %s: not refused\n' "$name" >&2
		exit 1
	fi
	if ! grep -q -e "$pattern" "$work/out"; then
		printf 'aws-cli-smoke: %s: no "%s" in:\n' "$name" "$pattern" >&2
		cat "$work/out" >&2
		exit 1
	fi
}

text() { aws --output text "$@"; }

# Version 1 of the CLI sends its sqs commands to an old host name of the service
# unless the address is a flag: AWS_ENDPOINT_URL is not looked at.
sqs() { aws --endpoint-url "$endpoint" --output text sqs "$@"; }

# S3
printf 'line\n' >"$work/a file"
aws s3 cp --only-show-errors "$work/a file" 's3://hikyaku/smoke/dir/a file' --metadata run=1
is 's3 cp down' "$(aws s3 cp --only-show-errors 's3://hikyaku/smoke/dir/a file' -)" 'line'
is 's3 ls' "$(aws s3 ls s3://hikyaku/smoke/ | tr -s ' ')" ' PRE dir/'
is 's3 head' "$(text s3api head-object --bucket hikyaku --key 'smoke/dir/a file' --query 'Metadata.run')" '1'
text s3api put-object-tagging --bucket hikyaku --key 'smoke/dir/a file' --tagging 'TagSet=[{Key=hikyaku,Value=doubt}]'
is 's3 tags' "$(text s3api get-object-tagging --bucket hikyaku --key 'smoke/dir/a file')" 'TAGSET	hikyaku	doubt'
text s3api delete-object-tagging --bucket hikyaku --key 'smoke/dir/a file'
is 's3 tags removed' "$(text s3api get-object-tagging --bucket hikyaku --key 'smoke/dir/a file' --query 'length(TagSet)')" '0'
etag=$(text s3api head-object --bucket hikyaku --key 'smoke/dir/a file' --query ETag)
is 's3 etag' "$etag" '"5b4bd9815cdb17b8ceae19eb1810c34c"'
refused 's3 create twice' PreconditionFailed aws s3api put-object --bucket hikyaku --key 'smoke/dir/a file' --if-none-match '*'
refused 's3 old etag' PreconditionFailed aws s3api put-object --bucket hikyaku --key 'smoke/dir/a file' --if-match '"0"'
head -c 20000000 /dev/zero >"$work/large"
aws s3 cp --only-show-errors "$work/large" s3://hikyaku/smoke/large
aws s3 cp --only-show-errors s3://hikyaku/smoke/large s3://hikyaku/smoke/copy
aws s3 mv --only-show-errors s3://hikyaku/smoke/copy "$work/back"
is 's3 multipart' "$(cksum <"$work/back")" "$(cksum <"$work/large")"
is 's3 moved away' "$(text s3api list-objects --bucket hikyaku --prefix smoke/copy --query 'length(Contents || `[]`)')" '0'
is 's3 delete-objects' "$(text s3api delete-objects --bucket hikyaku --delete 'Objects=[{Key=smoke/large},{Key=none}]' --query 'length(Deleted)')" '2'
refused 's3 parameter' 'response-content-type of s3 GetObject' aws s3api get-object --bucket hikyaku --key k --response-content-type text/css "$work/out2"
aws s3 mb s3://smoke-bucket >"$work/out"
aws s3 cp --only-show-errors "$work/a file" s3://smoke-bucket/
aws s3 rb --force s3://smoke-bucket >"$work/out"
is 's3 buckets' "$(text s3api list-buckets --query 'Buckets[].Name')" 'hikyaku'
refused 's3 acl' 'GetBucketAcl' aws s3api get-bucket-acl --bucket hikyaku
mkdir "$work/tree"
printf 1 >"$work/tree/1"
printf 2 >"$work/tree/2"
aws s3 sync --only-show-errors "$work/tree" s3://hikyaku/smoke/tree
is 's3 sync' "$(text s3api list-objects-v2 --bucket hikyaku --prefix smoke/tree/ --max-items 5 --page-size 1 --query 'Contents[].Key' | tr '\t' '\n' | grep -c tree)" '2'
aws s3 rm --only-show-errors --recursive s3://hikyaku/smoke/
is 's3 rm' "$(text s3api list-objects-v2 --bucket hikyaku --no-paginate --prefix smoke/ --query KeyCount)" '0'

# Secrets Manager
aws secretsmanager create-secret --name smoke/token --secret-string one --tags Key=team,Value=shop --kms-key-id alias/shop >"$work/out"
is 'secret tags' "$(text secretsmanager describe-secret --secret-id smoke/token --query '[KmsKeyId,Tags[0].Value,RotationEnabled]')" 'alias/shop	shop	None'
is 'secret found' "$(text secretsmanager list-secrets --filters Key=tag-value,Values=sh --query 'length(SecretList)')" '1'
first=$(text secretsmanager get-secret-value --secret-id smoke/token --query VersionId)
second=$(text secretsmanager put-secret-value --secret-id smoke/token --secret-string two --version-stages HIKYAKU_NEXT --query VersionId)
is 'secret current' "$(text secretsmanager get-secret-value --secret-id smoke/token --query SecretString)" 'one'
refused 'secret lost swap' InvalidParameterException aws secretsmanager update-secret-version-stage --secret-id smoke/token --version-stage AWSCURRENT --move-to-version-id "$second" --remove-from-version-id "$second"
aws secretsmanager update-secret-version-stage --secret-id smoke/token --version-stage AWSCURRENT --move-to-version-id "$second" --remove-from-version-id "$first" >"$work/out"
is 'secret promoted' "$(text secretsmanager get-secret-value --secret-id smoke/token --query SecretString)" 'two'
is 'secret previous' "$(text secretsmanager get-secret-value --secret-id smoke/token --version-stage AWSPREVIOUS --query SecretString)" 'one'
is 'secret described' "$(text secretsmanager describe-secret --secret-id smoke/token --query 'length(VersionIdsToStages)')" '2'
is 'secret listed' "$(text secretsmanager list-secrets --filters Key=name,Values=smoke/ --query 'SecretList[].Name')" 'smoke/token'
is 'secret versions' "$(text secretsmanager list-secret-version-ids --secret-id smoke/token --query 'length(Versions)')" '2'
is 'secret password' "$(text secretsmanager get-random-password --query 'length(RandomPassword)')" '32'
refused 'secret operation' 'GetResourcePolicy' aws secretsmanager get-resource-policy --secret-id smoke/token
aws secretsmanager delete-secret --secret-id smoke/token >"$work/out"
aws secretsmanager delete-secret --secret-id smoke/token --force-delete-without-recovery >"$work/out"
refused 'secret gone' ResourceNotFoundException aws secretsmanager get-secret-value --secret-id smoke/token

# SQS
url=$(sqs create-queue --queue-name smoke.fifo --attributes FifoQueue=true,VisibilityTimeout=60 --query QueueUrl)
is 'queue url' "$(sqs get-queue-url --queue-name smoke.fifo --query QueueUrl)" "$url"
sqs send-message --queue-url "$url" --message-body hello --message-group-id 1 --message-deduplication-id 1 >"$work/out"
sqs send-message --queue-url "$url" --message-body hello --message-group-id 1 --message-deduplication-id 1 >"$work/out"
is 'queue count' "$(sqs get-queue-attributes --queue-url "$url" --attribute-names ApproximateNumberOfMessages --query Attributes.ApproximateNumberOfMessages)" '1'
handle=$(sqs receive-message --queue-url "$url" --wait-time-seconds 1 --query 'Messages[0].ReceiptHandle')
sqs delete-message --queue-url "$url" --receipt-handle "$handle"
is 'queue empty' "$(sqs receive-message --queue-url "$url")" ''
refused 'queue standard' 'FIFO' sqs create-queue --queue-name smoke
sqs purge-queue --queue-url "$url"
refused 'queue purged twice' 'PurgeQueueInProgress' sqs purge-queue --queue-url "$url"
refused 'queue operation' 'DeleteQueue' sqs delete-queue --queue-url "$url"

# Lambda, EventBridge, and what is not served at all
refused 'lambda unknown' ResourceNotFoundException aws lambda invoke --function-name no-such-function "$work/answer"
if [ -n "${HIKYAKU_SMOKE_FUNCTION:-}" ]; then
	is 'lambda listed' "$(text lambda list-functions --query "length(Functions[?FunctionName=='$HIKYAKU_SMOKE_FUNCTION'])")" '1'
	is 'lambda status' "$(text lambda invoke --function-name "$HIKYAKU_SMOKE_FUNCTION" --query StatusCode "$work/answer")" '200'
fi
is 'events' "$(text events put-events --entries '[{"Source":"smoke","DetailType":"test","Detail":"{}"}]' --query FailedEntryCount)" '0'
is 'sts' "$(text sts get-caller-identity --query Account)" '000000000000'
refused 'sts operation' 'GetSessionToken' aws sts get-session-token
refused 'dynamodb' 'DynamoDB_20120810.ListTables' aws dynamodb list-tables

printf 'aws-cli-smoke: %d checks passed with %s\n' "$checks" "$(aws --version 2>&1 | cut -d' ' -f1)"
