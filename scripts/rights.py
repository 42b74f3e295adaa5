#!/usr/bin/env python3
"""Transforms template.yaml as CloudFormation does and asserts who may do what: each
role's actions, the conditions without which a right would reach too far, and whom a
role trusts. Usage: rights.py [template.yaml]"""
import sys

from callers import named, several, statements, transformed

TOKENS = "secretsmanager:GetSecretValue"
LOG = ["logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt", "kms:GenerateDataKey"]  # the key of KmsKeyArn, if there is one
ROWS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
EXPECTED = {
    "TokenRefreshFunctionRole": LOG + ROWS + [
        TOKENS, "secretsmanager:DescribeSecret", "secretsmanager:CreateSecret", "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage", "secretsmanager:RotateSecret", "events:PutEvents", "lambda:InvokeFunction"],
    "WebhookRelayIngestFunctionRole": LOG + [TOKENS, "sqs:SendMessage"],
    "WebhookRelayRelayFunctionRole": LOG + ROWS + [
        TOKENS, "lambda:InvokeFunction", "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
        "sqs:ChangeMessageVisibility"],
    "WebhookRelayReconcileFunctionRole": LOG + ROWS + [TOKENS, "lambda:InvokeFunction", "s3:DeleteObject", "sqs:SendMessage"],
    "ExportFunctionRole": LOG + ROWS + [
        TOKENS, "lambda:InvokeFunction", "s3:PutObjectTagging", "s3:GetObjectTagging", "s3:DeleteObjectTagging"],
    "ReconcileLoopRole": ["lambda:InvokeFunction"],
    "ExportLoopRole": ["lambda:InvokeFunction"],
    "TokenRefreshTickRole": ["lambda:InvokeFunction"],
    "LoopScheduleRole": ["states:StartExecution"],
}
# An action, and the condition without which nobody has it.
CONDITIONS = {
    "events:PutEvents": ("StringEquals", "events:source"),
    "secretsmanager:RotateSecret": ("ArnEqualsIfExists", "secretsmanager:RotationLambdaARN"),
    "kms:Decrypt": ("StringEquals", "kms:ViaService"),
    "kms:GenerateDataKey": ("StringEquals", "kms:ViaService"),
    "s3:ListBucket": ("StringLike", "s3:prefix"),
}
# What a connection holds is written by people alone: the function reads it, and moves the
# label of the version that counts.
CONNECTIONS = {TOKENS, "secretsmanager:DescribeSecret", "secretsmanager:UpdateSecretVersionStage"}


def faults(resources):
    found = {}
    for role, statement in statements(resources):
        if statement["Effect"] != "Allow":
            continue
        for action in several(statement["Action"]):
            found.setdefault(role, set()).add(action)
            operator, key = CONDITIONS.get(action, ("", ""))
            if key and key not in statement.get("Condition", {}).get(operator, {}):
                yield f"{role} has {action} without {operator} of {key}"
            if action not in CONNECTIONS and any("/connection-" in str(r) for r in several(statement["Resource"])):
                yield f"{role} has {action} on connections"
            if action.startswith("logs:") and named(statement["Resource"]) != role.removesuffix("FunctionRole") + "Log":
                yield f"{role} may write the log {named(statement['Resource'])}"
        if "*" in several(statement["Resource"]):
            yield f"{role} may {statement['Action']} everything"
    for role in sorted(found.keys() | EXPECTED.keys()):
        got, want = found.get(role, set()), set(EXPECTED.get(role, []))
        yield from (f"{role} may {action}" for action in sorted(got - want))
        yield from (f"{role} may not {action}" for action in sorted(want - got))
    for name, resource in resources.items():
        yield from trusted(name, resource["Type"], resource.get("Properties", {}))


def trusted(name, kind, properties):
    """Whom a role or a permission lets in."""
    if kind == "AWS::IAM::Role":
        for statement in several(properties["AssumeRolePolicyDocument"]["Statement"]):
            account = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
            if statement["Principal"] != {"Service": "lambda.amazonaws.com"} and account != {"Ref": "AWS::AccountId"}:
                yield f"{name} is assumed for other accounts too"
        if properties.get("ManagedPolicyArns") not in (None, {"Fn::If": ["Nat", [{"Ref": "NetworkPolicy"}], {"Ref": "AWS::NoValue"}]}):
            yield f"{name} has {properties['ManagedPolicyArns']}"
    if kind == "AWS::Lambda::Permission" and "SourceArn" not in properties:
        yield f"{name} lets every resource of {properties['Principal']} in"


def main():
    resources = transformed(sys.argv[1] if len(sys.argv) > 1 else "template.yaml")
    wrong = list(faults(resources))
    for fault in wrong:
        print("rights:", fault, file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"rights: {len(EXPECTED)} roles have what they need, and no more")


main()
