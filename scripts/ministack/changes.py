"""All that is changed of the product for ministack 1.5.33, each with its reason, and
what ministack is told. Each has a probe, which asks ministack for the very thing: once
it can do it, the probe says so, and the change has to go (run.py fails).

A change of the template takes it as CloudFormation's long form. A probe takes the
emulator and returns whether the change is still needed."""
import json
import platform
import time

from botocore.exceptions import ClientError

MACHINE = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine().lower()]
GOARCH = {"x86_64": "amd64", "arm64": "arm64"}[MACHINE]

# What ministack's process is told. It hands its own environment on to the functions.
SETTINGS = {
    "AUTH": "true",  # IAM is enforced
    "BIND_HOST": "127.0.0.1",
    "MINISTACK_HOST": "127.0.0.1",
    "MINISTACK_REGION": "ap-northeast-1",
    "USE_SSL": "1",  # the bucket's policy refuses plain http
    "IOT_MTLS_ENABLED": "0",  # a port that nobody asked for
    "LOG_LEVEL": "INFO",
}


def resources(template, *kinds):
    return {n: r for n, r in template["Resources"].items() if r["Type"] in kinds}


def without(template, names):
    """Removes resources, and what waits for them."""
    for name in names:
        del template["Resources"][name]
    for resource in template["Resources"].values():
        if isinstance(resource.get("DependsOn"), list):
            resource["DependsOn"] = [n for n in resource["DependsOn"] if n not in names]


def refused(emulator, resource, word):
    """Whether ministack refuses a stack of this resource alone, and says that word."""
    name = "probe-" + resource["Type"].split("::")[-1].lower()
    try:
        said = emulator.create_stack(name, {"Resources": {"Probe": resource}})
    except ClientError as e:
        said = str(e)
    finally:
        emulator.delete_stack(name)
    return word in said


def refused_to(emulator, allowed, service, call):
    """Whether a user with one statement may not make a call."""
    iam = emulator.client("iam")
    iam.create_user(UserName="probe")
    try:
        iam.put_user_policy(UserName="probe", PolicyName="probe", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
        key = iam.create_access_key(UserName="probe")["AccessKey"]
        call(emulator.client(service, key["AccessKeyId"], key["SecretAccessKey"]))
        return False
    except ClientError as e:
        return e.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    finally:
        for key in iam.list_access_keys(UserName="probe")["AccessKeyMetadata"]:
            iam.delete_access_key(UserName="probe", AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName="probe", PolicyName="probe")
        iam.delete_user(UserName="probe")


def statements(template):
    """The statements of all roles, and of the functions whose roles SAM writes."""
    for role in resources(template, "AWS::IAM::Role", "AWS::Serverless::Function").values():
        for policy in role["Properties"].get("Policies", []):
            document = policy.get("PolicyDocument", policy)
            yield from document.get("Statement", [])


# ------------------------------------------------------------------ this machine


def architecture(template):
    template["Globals"]["Function"]["Architectures"] = [MACHINE]


def architecture_needed(emulator):
    return emulator.template["Globals"]["Function"]["Architectures"] != [MACHINE]


def hosts(template):
    template["Globals"]["Function"]["Environment"]["Variables"]["HIKYAKU_ALLOW_HOSTS"] = "127.0.0.1"


def hosts_needed(emulator):
    """The sandboxes are at an address that a function refuses to call otherwise."""
    return all(url.startswith("http://127.0.0.1:") for url in emulator.sandboxes.values())


def rates(template):
    for name in ("SuperSaaSRate", "YappliRate", "ShoplineRate", "AssistTenchoRate"):
        if name in template["Parameters"]:
            template["Parameters"][name]["Default"] = 100


def rates_needed(emulator):
    return emulator.template["Parameters"]["YappliRate"]["Default"] < 100


# ---------------------------------------------------------------- ministack's gaps


def composites(template):
    without(template, list(resources(template, "AWS::CloudWatch::CompositeAlarm")))


def composites_needed(emulator):
    return refused(emulator, {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": "TRUE"}}, "Unrecognized resource types")


def queries(template):
    without(template, list(resources(template, "AWS::Logs::QueryDefinition")))


def queries_needed(emulator):
    return refused(emulator, {"Type": "AWS::Logs::QueryDefinition", "Properties": {"Name": "probe", "QueryString": "limit 1"}}, "Unrecognized resource types")


def computed(template):
    without(template, [n for n, r in resources(template, "AWS::CloudWatch::Alarm").items() if "Metrics" in r["Properties"]])


def computed_needed(emulator):
    metric = {"Id": "m", "MetricStat": {"Metric": {"Namespace": "Probe", "MetricName": "Probe"}, "Period": 60, "Stat": "Sum"}, "ReturnData": False}
    return refused(emulator, {"Type": "AWS::CloudWatch::Alarm", "Properties": {
        "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 1,
        "Metrics": [metric, {"Id": "e", "Expression": "m * 2", "ReturnData": True}]}}, "metric math")


def group_date(template):
    variables = template["Resources"]["WebhookRelayIngestFunction"]["Properties"]["Environment"]["Variables"]
    if "HIKYAKU_WEBHOOK_SECRET_RULE_SINCE" in variables:
        variables["HIKYAKU_WEBHOOK_SECRET_RULE_SINCE"] = "2026-11-01T00:00:00Z"


def group_date_needed(emulator):
    try:
        said = emulator.create_stack("probe-date", {
            "Resources": {"Probe": {"Type": "AWS::Scheduler::ScheduleGroup"}},
            "Outputs": {"Date": {"Value": {"Fn::GetAtt": ["Probe", "CreationDate"]}}}})
    finally:
        emulator.delete_stack("probe-date")
    return "CreationDate" in said


def routes(template):
    """The route that SAM writes into the API's Body, as resources of its own."""
    template["Resources"]["WebhookIntegration"] = {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {"ApiId": {"Ref": "WebhookApi"}, "IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0",
                       "IntegrationUri": {"Fn::GetAtt": ["WebhookRelayIngestFunction", "Arn"]}}}
    template["Resources"]["WebhookRoute"] = {
        "Type": "AWS::ApiGatewayV2::Route",
        "Properties": {"ApiId": {"Ref": "WebhookApi"}, "RouteKey": "POST /webhook/{secret}",
                       "Target": {"Fn::Sub": "integrations/${WebhookIntegration}"}}}


def routes_needed(emulator):
    body = {"openapi": "3.0.1", "info": {"title": "probe", "version": "1"}, "paths": {"/probe": {"get": {"x-amazon-apigateway-integration": {
        "type": "http_proxy", "httpMethod": "GET", "uri": "https://shop.example/", "payloadFormatVersion": "1.0"}}}}}
    try:
        emulator.create_stack("probe-body", {"Resources": {"Probe": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}}},
                                             "Outputs": {"Id": {"Value": {"Ref": "Probe"}}}})
        api = emulator.outputs("probe-body").get("Id")
        return not emulator.client("apigatewayv2").get_routes(ApiId=api)["Items"]
    finally:
        emulator.delete_stack("probe-body")


def event_source(template):
    for statement in statements(template):
        if statement["Action"] == "events:PutEvents":
            statement.pop("Condition", None)


def event_source_needed(emulator):
    allowed = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*", "Condition": {"StringEquals": {"events:source": "probe"}}}
    return refused_to(emulator, allowed, "events", lambda c: c.put_events(Entries=[{"Source": "probe", "DetailType": "probe", "Detail": "{}"}]))


def write_once(template):
    document = template["Resources"].get("BucketPolicy", {}).get("Properties", {}).get("PolicyDocument", {"Statement": []})
    document["Statement"] = [s for s in document["Statement"] if s["Sid"] != "WriteOnce"]


def write_once_needed(emulator):
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="probe-write-once", CreateBucketConfiguration={"LocationConstraint": SETTINGS["MINISTACK_REGION"]})
    try:
        key = "arn:aws:s3:::probe-write-once/*"
        s3.put_bucket_policy(Bucket="probe-write-once", Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": key, "Condition": {"Null": {"s3:if-none-match": "true"}}}]}))
        return refused_to(emulator, {"Effect": "Allow", "Action": "s3:PutObject", "Resource": key}, "s3",
                          lambda c: c.put_object(Bucket="probe-write-once", Key="probe", Body=b"", IfNoneMatch="*"))
    finally:
        s3.delete_object(Bucket="probe-write-once", Key="probe")
        s3.delete_bucket(Bucket="probe-write-once")


def concurrency(template):
    template["Resources"]["WebhookRelayRelayFunctionUsers"]["Properties"]["ScalingConfig"] = {"MaximumConcurrency": 2}


def concurrency_needed(emulator):
    properties = {"EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]}, "FunctionName": "probe", "ScalingConfig": {"MaximumConcurrency": {"Ref": "Number"}}}
    answers, functions = [], emulator.client("lambda")
    # As it is on the wire: this SDK would read the text as a number.
    functions.meta.events.register("after-call.lambda.GetEventSourceMapping", lambda http_response, **_: answers.append(json.loads(http_response.content)))
    try:
        emulator.create_stack("probe-number", {
            "Parameters": {"Number": {"Type": "Number", "Default": 2}},
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, "Probe": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}}})
        functions.get_event_source_mapping(UUID=emulator.resources("probe-number")["Probe"])
        return isinstance(answers[0]["ScalingConfig"]["MaximumConcurrency"], str)
    finally:
        emulator.delete_stack("probe-number")


def mapping_action(statement):
    if "lambda:GetEventSourceMapping" in statement["Action"]:
        statement["Action"].append("lambda:ListEventSourceMappings")
        statement.pop("Condition", None)
        statement["Resource"] = ["*"]


def mapping_action_needed(emulator):
    return refused_to(emulator, {"Effect": "Allow", "Action": "lambda:GetEventSourceMapping", "Resource": "*"}, "lambda",
                      lambda c: c.get_event_source_mapping(UUID="11111111-2222-3333-4444-555555555555"))


BATCHES = {"sqs:SendMessage": "sqs:SendMessageBatch", "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
           "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch"}


def batch_statement(statement):
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    if more := [BATCHES[a] for a in actions if a in BATCHES]:
        statement["Action"] = actions + more


def batches(template):
    for statement in statements(template):
        batch_statement(statement)


def batches_needed(emulator):
    queue = emulator.client("sqs").create_queue(QueueName="probe")["QueueUrl"]
    try:
        return refused_to(emulator, {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}, "sqs",
                          lambda c: c.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "probe"}]))
    finally:
        emulator.client("sqs").delete_queue(QueueUrl=queue)


def secret_version_needed(emulator):
    secrets, asked = emulator.client("secretsmanager"), "11111111-2222-3333-4444-555555555555"
    made = secrets.create_secret(Name="probe-version", SecretString="{}", ClientRequestToken=asked)
    secrets.delete_secret(SecretId="probe-version", ForceDeleteWithoutRecovery=True)
    return made["VersionId"] != asked


def rings(emulator, metric, datum):
    """Whether an alarm of a count, which is 0 where nothing comes, rings after a datum."""
    cloudwatch = emulator.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="probe", Namespace="Probe", MetricName=metric, Dimensions=[{"Name": "stack", "Value": "probe"}], Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching")
    try:
        cloudwatch.put_metric_data(Namespace="Probe", MetricData=[{"MetricName": metric, "Value": 1} | datum])
        time.sleep(1.5)
        cloudwatch.put_metric_data(Namespace="Probe", MetricData=[{"MetricName": "Other", "Value": 1}])
        return cloudwatch.describe_alarms(AlarmNames=["probe"])["MetricAlarms"][0]["StateValue"] == "ALARM"
    finally:
        cloudwatch.delete_alarms(AlarmNames=["probe"])


def missing_needed(emulator):
    """A second after the only value has left the window."""
    return rings(emulator, "Missing", {"Timestamp": time.time() - 59, "Dimensions": [{"Name": "stack", "Value": "probe"}]})


def dimensions_needed(emulator):
    return rings(emulator, "Another", {"Dimensions": [{"Name": "stack", "Value": "another"}]})


def metrics(emulator, namespace):
    return emulator.client("cloudwatch").list_metrics(Namespace=namespace)["Metrics"]


def embedded_needed(emulator):
    logs, now = emulator.client("logs"), int(time.time() * 1000)
    logs.create_log_group(logGroupName="probe")
    try:
        logs.create_log_stream(logGroupName="probe", logStreamName="probe")
        logs.put_log_events(logGroupName="probe", logStreamName="probe", logEvents=[{"timestamp": now, "message": json.dumps({
            "Probe": 1, "_aws": {"Timestamp": now, "CloudWatchMetrics": [
                {"Namespace": "ProbeLines", "Dimensions": [[]], "Metrics": [{"Name": "Probe", "Unit": "Count"}]}]}})}])
        return not metrics(emulator, "ProbeLines")
    finally:
        logs.delete_log_group(logGroupName="probe")


def queue_metrics_needed(emulator):
    """Of all queues of the run, some of which held messages for minutes."""
    return not metrics(emulator, "AWS/SQS")


# Name, why, how the template changes, whether that is still needed.
TEMPLATE = [
    ("architecture", "functions run as processes of this machine", architecture, architecture_needed),
    ("allowed hosts", "the providers are sandboxes at http://127.0.0.1, which functions refuse to call", hosts, hosts_needed),
    ("rates", "the sandboxes allow 100 requests a second, and nobody waits for hours", rates, rates_needed),
    ("composite alarms", "AWS::CloudWatch::CompositeAlarm is unknown there (RefreshStoppedAlarm)", composites, composites_needed),
    ("saved queries", "AWS::Logs::QueryDefinition is unknown there", queries, queries_needed),
    ("computed alarms", "an alarm of an expression is refused there (WebhookRefusedAlarm)", computed, computed_needed),
    ("schedule group's date", "Fn::GetAtt CreationDate of a schedule group is unknown there", group_date, group_date_needed),
    ("routes", "an ApiGatewayV2::Api with a Body gets no routes there", routes, routes_needed),
    ("events:source", "that condition key is never set there, so a role limited by it may send no event; the operator's policy, too", event_source, event_source_needed),
    ("concurrency", "a parameter of type Number stays a text there, and the Go SDK reads no text as MaximumConcurrency", concurrency, concurrency_needed),
    ("batches", "SendMessageBatch and the like are actions of their own there; in the operator's policy, too", batches, batches_needed),
    ("s3:if-none-match", "that condition key is never set there, so the bucket's policy would refuse every part", write_once, write_once_needed),
]

# Name, why, how a policy of policies/ changes, whether that is still needed.
POLICIES = [
    ("GetEventSourceMapping", "that call is authorized there as ListEventSourceMappings, and its condition key is never set", mapping_action, mapping_action_needed),
]

# Name, why, which command of docs/deploy.md may fail for it, with which words, and
# whether that is still so.
TOLERATED = [
    ("a created secret's version", "CreateSecret ignores the ClientRequestToken there, which is the first version's id: what is written is found by the next run",
     r"hikyaku authorize assisttencho", r"reading the refresh secret; the next run tries again", secret_version_needed),
]

# What doctor finds there for good, and why; no longer needed once it is not found.
FINDINGS = {"alarm.muted": "DescribeAlarms does not say there which actions an alarm has"}

# Name, what follows for the alarms (alarms.py; docs/proof.md says which ring there),
# whether that is still so.
EVALUATION = [
    ("metrics of log lines", "no line in the embedded metric format makes a metric there, so alarms.py puts what the lines say", embedded_needed),
    ("dimensions of an alarm", "an alarm adds up a metric over all dimensions there, and rings for another stack's, so alarms.py looks at its own", dimensions_needed),
    ("missing data", "an alarm without values in its window stays as it is there, so no count goes back to OK and no silence rings", missing_needed),
    ("queues' metrics", "queues have none there, so neither QueueAgeAlarm nor DeadLettersAlarm rings", queue_metrics_needed),
]

ALL = TEMPLATE + POLICIES + TOLERATED + EVALUATION


def missing_secrets(template):
    """Lets the roles of a template before this change ask for a secret that is not there
    yet, which ministack denies them: what they are given is a name without its six
    characters."""
    for statement in statements(template):
        if "secretsmanager:GetSecretValue" in statement["Action"]:
            names = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            statement["Resource"] = names + [{"Fn::Sub": n["Fn::Sub"].removesuffix("-*")} for n in names if n["Fn::Sub"].endswith("-*")]


def change(template):
    """Changes a template for ministack. What an older one does not have stays."""
    for _, _, apply, _ in TEMPLATE:
        apply(template)
    if not any('/token"' in json.dumps(s) for s in statements(template)):
        missing_secrets(template)
    return template


def change_policy(policy):
    """Changes a policy of policies/ for ministack."""
    for statement in policy["Statement"]:
        batch_statement(statement)
        mapping_action(statement)
        if statement["Action"] == ["events:PutEvents"]:
            statement.pop("Condition", None)
    return policy
