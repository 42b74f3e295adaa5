#!/usr/bin/env python3
"""Compares the template of ee17bce, the oldest that a stack may be deployed from, with
template.yaml, both transformed as CloudFormation does, and says what an update would
refuse, make anew or remove. Which change of a property makes a resource anew is read from
CloudFormation's own schemas, which cfn-lint carries. docs/operate.md names what is made
anew or removed. Usage: replacements.py [template.yaml]"""
import pathlib
import re
import subprocess
import sys
import tempfile

from callers import transformed
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from samtranslator.yaml_helper import yaml_parse

OLD = "ee17bce"
REGION = "ap-northeast-1"
# What a shop would lose, or has told somebody.
KEPT = {"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::Logs::LogGroup", "AWS::EC2::EIP",
        "AWS::EC2::NatGateway", "AWS::Glue::Database", "AWS::Glue::Table", "AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"}
# What is gone for a deployment's parameters of then.
DEPLOYED = [{}, {"EgressMode": "nat"}]
NONE = {"Ref": "AWS::NoValue"}


class Settled:
    """A template for one choice of parameters: no Fn::If and no parameter is left in it."""

    def __init__(self, path, given):
        template = yaml_parse(pathlib.Path(path).read_text(encoding="utf-8"))
        self.parameters = template["Parameters"]
        self.values = {name: given.get(name, p.get("Default")) for name, p in self.parameters.items()}
        self.conditions = template["Conditions"]
        self.resources = {n: r for n, r in transformed(path).items() if "Condition" not in r or self.holds(r["Condition"])}

    def holds(self, name):
        return self.value(self.conditions[name])

    def value(self, of):
        """The value of an expression as far as the parameters alone decide it."""
        if isinstance(of, list):
            return [v for v in map(self.value, of) if v != NONE]
        if not isinstance(of, dict):
            return of
        if len(of) == 1:
            ((name, argument),) = of.items()
            match name:
                case "Ref" if argument in self.values:
                    return self.values[argument]
                case "Condition":
                    return self.holds(argument)
                case "Fn::If":
                    return self.value(argument[1 if self.holds(argument[0]) else 2])
                case "Fn::Equals":
                    return str(self.value(argument[0])) == str(self.value(argument[1]))
                case "Fn::Not":
                    return not self.value(argument[0])
                case "Fn::And":
                    return all(map(self.value, argument))
                case "Fn::Or":
                    return any(map(self.value, argument))
                case "Fn::Join" if isinstance(parts := self.value(argument[1]), str):
                    return parts.replace(",", argument[0])
        return {k: v for k, v in ((k, self.value(v)) for k, v in of.items()) if v != NONE}

    def property(self, resource, path):
        found = self.value(self.resources[resource].get("Properties", {}))
        for name in path.removeprefix("/properties/").split("/"):
            found = found.get(name) if isinstance(found, dict) else None
        return found


def anew(kind):
    """The properties of a type whose change makes the resource anew."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    return schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])


def compare(old, new):
    """What an update refuses, what it makes anew and what it removes."""
    refused, made, removed = [], [], []
    for name, resource in old.resources.items():
        kind = resource["Type"]
        if name not in new.resources:
            removed.append((name, kind))
        elif new.resources[name]["Type"] != kind:
            refused.append(f"{name} is {kind} and would be {new.resources[name]['Type']}: CloudFormation changes no type, so it needs another name")
        elif any(old.property(name, path) != new.property(name, path) for path in anew(kind)):
            made.append((name, kind))
    for name, parameter in old.parameters.items():
        now = new.parameters.get(name)
        if now is None:
            refused.append(f"the parameter {name} is gone, which a deployment of then may give")
        elif not re.fullmatch(now.get("AllowedPattern", ".*"), str(parameter["Default"]).split(",")[0]) or parameter["Default"] != now["Default"]:
            refused.append(f"the parameter {name} had the default {parameter['Default']}, and has another or refuses it")
    return refused, made, removed


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "template.yaml"
    page = pathlib.Path("docs/operate.md").read_text(encoding="utf-8")
    said = set(re.findall(r"`(\w+)`", page.split("\n## Upgrade\n")[1].split("\n## ")[0]))
    wrong, found = [], set()
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(subprocess.check_output(["git", "show", f"{OLD}:template.yaml"]))
        file.flush()
        for given in DEPLOYED:
            old = Settled(file.name, given)
            refused, made, removed = compare(old, Settled(path, given))
            wrong += refused
            wrong += [f"{name} would be made anew or removed, and a shop would lose it" for name, kind in made + removed if kind in KEPT]
            found |= {name for name, _ in made + removed}
            stay = len([r for r in old.resources.values() if r["Type"] in KEPT])
    wrong += [f"docs/operate.md, Upgrade, does not say that {name} is made anew or removed" for name in sorted(found - said)]
    for fault in sorted(set(wrong)):
        print(f"replacements: {fault}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"replacements: from {OLD} nothing is refused, {stay} resources that hold something or have an address stay, {len(found)} are made anew or removed, each named in docs/operate.md")


if __name__ == "__main__":
    main()
