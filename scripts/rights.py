#!/usr/bin/env python3
"""Transforms template.yaml as CloudFormation does and asserts who may do what: the
statements of each role and of each resource that lets others in, conditions included,
are those of rights.txt, no right reaches too far, and whom a role trusts. It also
asserts that SAM leaves the alarms as the template has them, which is where the tests
of internal/cloudwatchtest read them.
Usage: rights.py [--update] [template.yaml]; --update writes rights.txt, to be read
before it is committed."""
import json
import pathlib
import sys

from samtranslator.yaml_helper import yaml_parse

from callers import named, several, statements, transformed

TABLE = pathlib.Path(__file__).with_name("rights.txt")

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
CONNECTIONS = {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "secretsmanager:UpdateSecretVersionStage"}


def faults(resources):
    for role, statement in statements(resources):
        if statement["Effect"] != "Allow":
            continue
        for action in several(statement["Action"]):
            operator, key = CONDITIONS.get(action, ("", ""))
            if key and key not in statement.get("Condition", {}).get(operator, {}):
                yield f"{role} has {action} without {operator} of {key}"
            if action not in CONNECTIONS and any("/connection-" in str(r) for r in several(statement["Resource"])):
                yield f"{role} has {action} on connections"
            if action.startswith("logs:") and named(statement["Resource"]) != role.removesuffix("FunctionRole") + "Log":
                yield f"{role} may write the log {named(statement['Resource'])}"
        if "*" in several(statement["Resource"]):
            yield f"{role} may {statement['Action']} everything"
    for name, resource in resources.items():
        yield from trusted(name, resource["Type"], resource.get("Properties", {}))


def written(value):
    """A value as the template writes it: names in ${}."""
    match value:
        case {"Ref": name} if len(value) == 1:
            return "${" + name + "}"
        case {"Fn::GetAtt": [name, attribute]}:
            return "${" + name + "." + attribute + "}"
        case {"Fn::Sub": str(text)}:
            return text
        case str(text):
            return text
    return json.dumps(value, sort_keys=True)


def table(resources):
    """Every right, a line each below the name of who or what has the policy."""
    rights = {}

    def add(owner, statement, of=""):
        principal = statement.get("Principal")
        who = f" to {written(principal)}" if principal else ""
        on = ", ".join(sorted(written(r) for r in several(statement.get("Resource", []))))
        when = [f"{operator} {key} {', '.join(written(v) for v in several(values))}"
                for operator, keys in sorted(statement.get("Condition", {}).items()) for key, values in sorted(keys.items())]
        for action in several(statement["Action"]):
            line = f"{statement['Effect']} {action}{who}" + (f" on {on}" if on else "") + (f" if {' and '.join(when)}" if when else "") + of
            rights.setdefault(owner, set()).add(line)

    for role, statement in statements(resources):
        add(role, statement)
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::IAM::Role":
                for statement in several(properties["AssumeRolePolicyDocument"]["Statement"]):
                    add(name, statement)
                for managed in several(properties.get("ManagedPolicyArns", [])):
                    rights.setdefault(name, set()).add(f"has the policy {written(managed)}")
            case "AWS::IAM::ManagedPolicy" | "AWS::S3::BucketPolicy" | "AWS::SNS::TopicPolicy" | "AWS::SQS::QueuePolicy":
                for statement in several(properties["PolicyDocument"]["Statement"]):
                    add(name, statement)
            case "AWS::Lambda::Permission":
                callers = [f"{key} {written(properties[key])}" for key in ("SourceArn", "SourceAccount") if key in properties]
                rights.setdefault(name, set()).add(
                    f"Allow {properties['Action']} to {properties['Principal']} on {written(properties['FunctionName'])} if {' and '.join(callers)}")
    return "".join(f"{owner}\n" + "".join(f"    {line}\n" for line in sorted(rights[owner])) for owner in sorted(rights))


def differences(got, want):
    """What a table has that the other has not, with its owner."""
    def lines(text):
        owner = ""
        for line in text.splitlines():
            if line.startswith(" "):
                yield f"{owner}: {line.strip()}"
            else:
                owner = line

    yield from (f"not in rights.txt: {line}" for line in sorted(set(lines(got)) - set(lines(want))))
    yield from (f"in rights.txt alone: {line}" for line in sorted(set(lines(want)) - set(lines(got))))


def moved(path, resources):
    """Alarms that the transform has changed."""
    with open(path, encoding="utf-8") as file:
        for name, resource in yaml_parse(file.read())["Resources"].items():
            if resource["Type"].startswith("AWS::CloudWatch::") and resources.get(name) != resource:
                yield f"SAM changes {name}"


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
    update = "--update" in sys.argv
    path = ([a for a in sys.argv[1:] if a != "--update"] or ["template.yaml"])[0]
    resources = transformed(path)
    got = table(resources)
    if update:
        TABLE.write_text(got, encoding="utf-8")
    wrong = [*faults(resources), *differences(got, TABLE.read_text(encoding="utf-8")), *moved(path, resources)]
    for fault in wrong:
        print("rights:", fault, file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"rights: {got.count('    ')} rights, as rights.txt has them; the alarms are the template's own")


main()
