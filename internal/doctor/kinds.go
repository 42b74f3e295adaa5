package doctor

// kinds are all that can be found. Each has a row in docs/runbook.md, "Findings of doctor".
var kinds = []Kind{
	{"unread", Warning, "", "{subject} could not be read: {detail}", "aws sts get-caller-identity {aws}"},

	// The stack and its settings.
	{"stack.unfinished", High, FromStack, "CloudFormation has not brought the last deployment to an end: the stack's status is {detail}.", "aws cloudformation describe-stack-events --stack-name {stack} {aws}"},
	{"stack.shared-prefix", Critical, FromStack, "The stack {subject} has the same prefix in this account and region: both write the same secrets. Give one of them another Prefix.", "sam deploy --config-file samconfig.{subject}.toml {aws}"},
	{"stack.behind", Warning, FromStack, "The stack is older than this command: {detail}. Upgrade it.", deploy},
	{"command.behind", Warning, FromStack, "This command is older than the stack: {detail}. Take a newer one.", "hikyaku version"},
	{"clock.wrong", Warning, FromStack, "This machine's clock differs from AWS's by {detail}. AWS refuses calls from 5 minutes on, and commands judge ages wrongly.", "timedatectl set-ntp true"},
	{"settings.invalid", Critical, FromFunctions, "{subject} does not start: {detail}", deploy},
	{"settings.identity-editable", High, FromFunctions, "Customers can edit the identity {detail}, and nobody has agreed to that, so the relay writes nothing. Choose id, fk or super_field as Identity, or set IdentityEditable=yes.", deploy},
	{"settings.id-unconfirmed", High, FromFunctions, "The identity id has no prefix, and nobody has said that the shop's unique_ids are SuperSaaS ids, so the relay writes nothing. Set IdentityPrefix, or IdIsUniqueId=yes.", deploy},
	{"settings.link-always", Warning, FromFunctions, "Link=always: a member who exists is linked by the identity alone, without a person's decision.", deploy},
	{"settings.differ", High, FromFunctions, "{subject} is not the same in all functions: {detail}. Somebody edited one by hand, which a deployment that changes nothing leaves.", ""},
	{"settings.edited", High, FromFunctions, "{subject} of the functions is not what its parameter says ({detail}): somebody edited them by hand. The next deployment that changes a function takes that back, and no other.", ""},
	{"retention.short", Warning, FromFunctions, "ExportRetentionDays is {detail}. A run is compared with those before it, and a doubt may be accepted for 14 days: keep exports for 14 days or more.", deploy},
	{"logs.short", Note, FromFunctions, "LogRetentionDays is {detail}: what happened before cannot be looked up.", deploy},
	{"concurrency.low", Warning, FromAccount, "The account may run {detail} functions at a time, and the stacks of this region need more for no webhook to be refused. Ask AWS for more.", "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000 {aws}"},

	// Secrets, connections and tokens.
	{"secret.deleted", Critical, FromSecrets, "The secret {subject} is marked for deletion.", "aws secretsmanager restore-secret --secret-id {subject} {aws}"},
	{"secret.broken", High, FromSecrets, "The secret {subject} is none of hikyaku's documents: {detail}", ""},
	{"secret.denied", Warning, FromSecrets, "You may not read {detail}, so that what depends on it was not looked at. policies/operator.json gives the right.", "aws sts get-caller-identity {aws}"},
	{"hash-key.missing", High, FromSecrets, "Fields are to be hashed (ExportHash), and the secret {subject} with the key is not there, so that nothing of them is exported. Make it once, and never another.", `printf '{"key":"%s"}' "$(openssl rand -hex 32)" | aws secretsmanager create-secret --name {subject} --secret-string file:///dev/stdin {aws}`},
	{"connection.none", High, FromSecrets, "No provider is connected.", "hikyaku connect PROVIDER {hikyaku}"},
	{"connection.missing", High, FromSecrets, "{subject} is not connected: {detail}", connect},
	{"connection.wrong", High, FromSecrets, "The connection of {subject} is wrong: {detail}", connect},
	{"connection.unknown-field", Warning, FromSecrets, "The connection of {subject} has fields that no connection has: {detail}. Perhaps one is misspelled.", connect},
	{"token.missing", High, FromSecrets, "{subject} is connected and has no token yet.", "hikyaku tokens refresh {subject} {hikyaku}"},
	{"token.expired", Critical, FromSecrets, "The token of {subject} ended at {detail}.", ""},
	{"token.overdue", High, FromSecrets, "The token of {subject} should have been replaced at {detail}: nobody looks at the tokens.", "hikyaku tokens refresh {subject} {hikyaku}"},
	{"token.ending", Warning, FromSecrets, "The credential of {subject} ends at {detail}, and only a person can make another.", ""},
	{"token.no-end", Warning, FromSecrets, "{subject} does not say any more when its token ends, so that it is replaced by a guess.", "hikyaku tokens refresh {subject} --force {hikyaku}"},
	{"token.no-refresh", High, FromSecrets, "What makes the next token of {subject} is gone: the one that is served ends at {detail}, and only a person can make another.", "hikyaku authorize {subject} {hikyaku}"},
	{"token.in-doubt", Critical, FromSecrets, "A one-time credential of {subject} may have been spent without an answer: {detail}", "hikyaku authorize {subject} {hikyaku}"},
	{"token.needs-human", Critical, FromSecrets, "The credential of {subject} needs a person: {detail}", ""},
	{"token.unconfigured", High, FromSecrets, "The connection of {subject} waits for a person to complete or to authorize it: {detail}", ""},
	{"token.failing", High, FromSecrets, "The last run could not replace the token of {subject}: {detail}", "hikyaku tokens refresh {subject} --logs {hikyaku}"},
	{"token.budget-spent", Warning, FromSecrets, "The versions of {subject}'s token that may be written in 24 hours are used up, by {detail}.", "hikyaku tokens {hikyaku}"},
	{"token.refused", Critical, FromProviders, "{subject} does not accept the token that is served: {detail}", ""},
	{"token.forbidden", Note, FromProviders, "{subject} refuses calls from this machine. Perhaps it lets in the stack's address alone: then only the stack can ask. {detail}", "hikyaku tokens --probe --remote {hikyaku}"},
	{"token.unclear", Warning, FromProviders, "{subject} did not say whether the token works: {detail}", "hikyaku tokens --probe {hikyaku}"},

	// The mapping.
	{"mapping.unpublished", Warning, FromMapping, "No mapping was published: the one that was deployed counts, which may be the example.", publish},
	{"mapping.pointer-lost", Critical, FromMapping, "A mapping was published, and what says which one counts is gone: the relay writes nothing, or with the last one.", publish},
	{"mapping.pointer-broken", Critical, FromMapping, "What says which mapping counts cannot be read: {detail}", ""},
	{"mapping.unreadable", Critical, FromMapping, "The mapping that counts cannot be read: {detail}", publish},
	{"mapping.refused", Critical, FromMapping, "The mapping that counts cannot be used: {detail}", publish},
	{"mapping.unknown-field", Warning, FromFields, "The mapping uses fields that SuperSaaS does not list for the account: {detail}.", publish},

	// The webhook.
	{"webhook.no-secret", Critical, FromWebhook, "The webhook has no secret, so every webhook is refused.", "hikyaku connect webhook {hikyaku}"},
	{"webhook.weak-secret", High, FromWebhook, "{detail}", "hikyaku connect webhook {hikyaku}"},
	{"webhook.old-secret", Warning, FromHooks, "The webhook ends in the secret before the current one, which the next rotation ends: its rotation is half done.", register},
	{"webhook.missing", High, FromHooks, "No webhook for changed users points at this stack.", register},
	{"webhook.elsewhere", Warning, FromHooks, "A webhook for changed users points elsewhere, at {detail}: another stack may write the same members.", "hikyaku hooks list {hikyaku}"},
	{"webhook.twice", Warning, FromHooks, "{detail} for changed users point at this stack, so that each change comes more than once.", register},
	{"webhook.wrong-secret", High, FromHooks, "The webhook that points at this stack ends in a secret that is not accepted.", register},
	{"webhook.silent", High, FromMetrics, "No webhook has come for seven days, and the comparisons of that time found {detail} to write.", "hikyaku hooks list {hikyaku}"},

	// The relay.
	{"queue.old", Warning, FromMetrics, "A change has waited for {detail}.", "hikyaku tokens --probe {hikyaku}"},
	{"dead.letters", High, FromQueues, "{detail} given up. 'hikyaku dead' says why; correct that first.", "hikyaku redrive {hikyaku}"},
	{"dead.ending", Critical, FromMetrics, "A change that was given up is {detail} old, and is lost after 14 days.", "hikyaku redrive {hikyaku}"},
	{"pairs.waiting", Warning, FromRelay, "{detail} for a person to decide: is the member who exists the user?", "hikyaku links list {hikyaku}"},
	{"decisions.undone", Warning, FromRelay, "{detail} approved more than an hour ago and not linked yet.", "hikyaku reconcile {hikyaku}"},
	{"disabling.stopped", High, FromRelay, "More members than DisableCap were to be disabled in an hour, so that none is. Find out why first.", "hikyaku relay release {hikyaku}"},
	{"relay.observes", Note, FromRelay, "The relay observes: it reports what it would write, and writes nothing.", deploy},
	{"relay.update-unknown", High, FromRelay, "It is not known what an update does to omitted fields, so that the relay writes nothing.", "hikyaku mapping check mapping.yaml --user ID --write {hikyaku}"},
	{"reconcile.never", High, FromRelay, "Both lists were never compared, so that no member is made.", "hikyaku reconcile {hikyaku}"},
	{"reconcile.old", Warning, FromRelay, "Both lists were last compared at {detail}, more than two days ago.", "hikyaku reconcile {hikyaku}"},
	{"reconcile.wanted", Warning, FromRelay, "A comparison of both lists has been wanted since {detail}, and none has answered.", "hikyaku reconcile {hikyaku}"},
	{"reconcile.drift", Warning, FromMetrics, "The comparisons of the last two days found {detail} that a list leaves somebody out, so that nobody counts as missing or gone.", "hikyaku reconcile {hikyaku}"},
	{"reconcile.failed", High, FromExecutions, "The last comparison of both lists ended as {detail}.", ""},

	// Exports.
	{"export.never", Warning, FromExports, "{subject} was never exported.", "hikyaku export {subject} {hikyaku}"},
	{"export.old", High, FromExports, "The newest export of {subject} ends at {detail}, more than 36 hours ago.", "hikyaku export {subject} {hikyaku}"},
	{"export.gone", Note, FromExports, "The newest export of {subject} has been deleted since, as after ExportRetentionDays.", "hikyaku export {subject} {hikyaku}"},
	{"export.doubt", High, FromExports, "The newest run of {subject} may lack rows and is not published. If it is right as it is, accept it; else the next run asks again.", "hikyaku export accept {detail} --reason WHY {account}"},
	{"export.unfinished", Warning, FromExports, "The run {detail} of {subject} began more than a day ago and has not ended.", "hikyaku export {subject} {hikyaku}"},
	{"export.rejects", Warning, FromExports, "The newest export of {subject} left out {detail} that cannot be read; the objects that its manifest names as rejects_key say which. Correct them at the provider first.", "hikyaku export {subject} {hikyaku}"},
	{"export.unresolved", Warning, FromExports, "The list of {subject} moved while it was exported, and {detail} in it could not be found again.", "hikyaku export {subject} {hikyaku}"},
	{"export.owed", Warning, FromExports, "Of {subject} {detail} with a record that could not be read; the next runs ask again.", "hikyaku export {subject} {hikyaku}"},
	{"export.failed", High, FromExecutions, "The last export ended as {detail}. Correct the cause, then start it again with the same input.", ""},

	// Who is told.
	{"alarm.critical", Critical, FromAlarms, "{subject} rings: {detail}", history},
	{"alarm.high", High, FromAlarms, "{subject} rings: {detail}", history},
	{"alarm.warning", Warning, FromAlarms, "{subject} rings: {detail}", history},
	{"alarm.muted", High, FromAlarms, "The alarm {subject} tells nobody: {detail}", "aws cloudwatch enable-alarm-actions --alarm-names {subject} {aws}"},
	{"alarm.gone", High, FromAlarms, "The alarm {subject} was deleted by hand: it tells nobody. Deploy once without it in the template, and once with it.", deploy},
	{"alarm.none", High, FromAlarms, "The stack has no alarm.", deploy},
	{"topic.nobody", High, FromTopic, "Nobody is told of alarms: the topic {subject} has no subscription. Give AlarmMail, or subscribe.", "aws sns subscribe --topic-arn {subject} --protocol email --notification-endpoint ADDRESS {aws}"},
	{"topic.unconfirmed", High, FromTopic, "Nobody is told of alarms: no subscription of {subject} is confirmed. Its owner follows the link in the mail of AWS.", "aws sns list-subscriptions-by-topic --topic-arn {subject} {aws}"},

	// What is paused.
	{"pause.lasts", Note, FromPauses, "{subject} is paused {detail}", resume},
	{"pause.overdue", High, FromPauses, "{subject} should not be paused any more: {detail}", resume},
	{"pause.broken", High, FromPauses, "What says who paused what cannot be read, so that no alarm rings while a pause lasts: {detail}", ""},
	{"pause.unwatched", High, FromSchedules, "The schedule that looks at the pauses is off: no alarm rings while a pause lasts, nor once it should have ended.", `aws scheduler get-schedule --name {detail} {aws} | jq 'del(.Arn, .CreationDate, .LastModificationDate) | .State = "ENABLED"' > schedule.json && aws scheduler update-schedule --cli-input-json file://schedule.json {aws}`},
	{"pause.half", High, FromSchedules, "{subject} is paused, and these are on: {detail}. The pause was interrupted.", resume},
	{"trigger.gone", High, FromSchedules, "{subject} of this stack was deleted by hand: what it starts does not happen. Deploy once without it in the template, and once with it.", deploy},
	{"trigger.off", High, FromSchedules, "Nobody has paused {subject}, and these are off: {detail}.", resume},
}

const (
	deploy   = "sam deploy --config-file samconfig.{stack}.toml {aws}"
	publish  = "hikyaku mapping put mapping.yaml {hikyaku}"
	register = "hikyaku hooks register {hikyaku}"
	history  = "aws cloudwatch describe-alarm-history --alarm-name {subject} {aws}"
	resume   = "hikyaku resume {subject} {hikyaku}"
	connect  = "hikyaku connect {subject} {hikyaku}"
)
