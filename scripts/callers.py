#!/usr/bin/env python3
"""Transforms template.yaml as CloudFormation does and compares who may invoke
tokenrefresh, and through which alias, with what the function takes there
(docs/decisions/0025-aliases.md). SAM writes roles and permissions of its own, which
only the transformed template shows. Usage: callers.py [template.yaml]"""
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "ap-northeast-1")

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

FUNCTION = "TokenRefreshFunction"
# Nobody of the stack may invoke it: people do, by policies/operator.json.
PEOPLE = "TokenRefreshOperatorAlias"
EXPECTED = {
    ("WebhookRelayRelayFunctionRole", "TokenRefreshReadersAlias"),
    ("WebhookRelayReconcileFunctionRole", "TokenRefreshReadersAlias"),
    ("ExportFunctionRole", "TokenRefreshReadersAlias"),
    ("TokenRefreshTickRole", "TokenRefreshScheduleAlias"),
    ("TokenRefreshTickRole", "TokenRefreshWatchAlias"),  # by which the pauses are looked at
    # Not to call it: Secrets Manager is said to demand it of who starts a rotation.
    ("TokenRefreshFunctionRole", "TokenRefreshRotationAlias"),
    ("secretsmanager.amazonaws.com", "TokenRefreshRotationAlias"),
}


class ManagedPolicies:
    """Knows none of AWS's own policies: the template writes each role itself."""

    def load(self):
        return {}


def transformed(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"  # as 'sam package' writes it
    return transform(template, {}, ManagedPolicies())["Resources"]


def several(value):
    return value if isinstance(value, list) else [value]


def named(value):
    """The resource that a value names, by Ref, GetAtt or in a text with variables."""
    if not isinstance(value, dict):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::Sub" and isinstance(argument, list):
        return ", ".join(named(v) for v in argument[1].values())
    return argument[0] if isinstance(argument, list) else named(argument)


def callers(resources):
    """Who may invoke what: roles by their statements, services by permissions."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Permission":
            yield properties["Principal"], named(properties["FunctionName"])
    for role, statement in statements(resources):
        actions = several(statement["Action"])
        if statement["Effect"] == "Allow" and any(a in ("*", "lambda:*") or a.startswith("lambda:Invoke") for a in actions):
            yield from ((role, named(each)) for each in several(statement["Resource"]))


def statements(resources):
    """Each role with each statement of its own policies and of those attached to it."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties.get("Policies", []):
                if "Fn::If" in policy:
                    policy = policy["Fn::If"][1]  # the other is none
                yield from ((name, statement) for statement in several(policy["PolicyDocument"]["Statement"]))
        if resource["Type"] == "AWS::IAM::Policy":
            for role in properties["Roles"]:
                yield from ((named(role), statement) for statement in several(properties["PolicyDocument"]["Statement"]))


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "template.yaml"
    resources = transformed(path)
    found = {(who, what) for who, what in callers(resources) if "TokenRefresh" in what or "${" in what or "*" in what}
    for who, what in sorted(found - EXPECTED):
        print(f"callers: {who} may invoke {what}, which is not its alias", file=sys.stderr)
    for who, what in sorted(EXPECTED - found):
        print(f"callers: {who} may not invoke {what}", file=sys.stderr)
    if PEOPLE not in resources:
        print(f"callers: there is no {PEOPLE}, which people's commands need", file=sys.stderr)
    if found != EXPECTED or PEOPLE not in resources:
        sys.exit(1)
    print(f"callers: {len(found)} callers of tokenrefresh, each by its own alias, none of {FUNCTION} itself or of {PEOPLE}")


if __name__ == "__main__":
    main()
