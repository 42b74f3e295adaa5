#!/usr/bin/env python3
"""Runs the state machines of template.yaml on a moto server, which interprets
the Amazon States Language, and compares the states that each execution enters.
The functions' answers are scripted: what the functions themselves answer is
tested elsewhere. Usage: state-machines.py http://127.0.0.1:5555"""
import datetime
import io
import json
import sys
import time
import urllib.request
import zipfile

import boto3
import yaml

WAIT = 5  # seconds
# moto drops the fraction of the time that it waits for, and that of the
# seconds left until then.
MOTO_EARLY = 2
CONTINUE, DONE, OFF = {"status": "continue"}, {"status": "done"}, {"status": "off"}
BUSY = {"status": "busy", "until": "2026-01-01T00:00:00.123456789Z"}
TIMELESS = {"status": "busy"}
DOUBT = {"status": "doubt", "doubt": "shop/exports/a/b/dt=2026-01-01/run=20260101T000000Z/_doubt.json"}
UNKNOWN = {"status": "unheard of"}
ONCE = ["Call", "Again", "Finished"]
LOST = ["Call", "Again", "GaveUp"]
ONE = {"datasets": ["a/b"], "scheduled_time": "2026-01-01T00:00:00Z"}
THREE = {"datasets": ["a/b", "c/d", "e/f"], "scheduled_time": "2026-01-01T00:00:00Z"}


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def busy(until):
    return {"status": "busy", "until": until.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


# state machine, input, the function's answers, states entered, and how the
# execution ends: SUCCEEDED, or the error that it fails with
CASES = [
    ("ReconcileLoop", {"event": {"action": "reconcile"}}, [CONTINUE, BUSY, DONE],
     ["Call", "Again", "Call", "Again", "Wait", "Call", "Again", "Finished"], "SUCCEEDED"),
    ("ReconcileLoop", {"event": {"action": "reconcile"}}, [OFF], ONCE, "SUCCEEDED"),
    ("ExportLoop", ONE, [CONTINUE, BUSY, DONE],
     ["Datasets", "Call", "Again", "Call", "Again", "Wait", "Call", "Again", "Finished", "AllDone", "Finished"], "SUCCEEDED"),
    ("ExportLoop", {**ONE, "datasets": ["a/b", "c/d"]}, [OFF, DONE], ["Datasets", *ONCE, *ONCE, "AllDone", "Finished"], "SUCCEEDED"),
    # A time to come is waited for.
    ("ExportLoop", ONE, ["wait", DONE], ["Datasets", "Call", "Again", "Wait", *ONCE, "AllDone", "Finished"], "SUCCEEDED"),
    # A run in doubt is not called again, the others end, and the execution tells.
    ("ExportLoop", THREE, [DOUBT, DONE, DONE], ["Datasets", *ONCE, *ONCE, *ONCE, "AllDone", "SomeInDoubt"], "DatasetInDoubt"),
    ("ExportLoop", THREE, [DONE, DOUBT, CONTINUE, DONE],
     ["Datasets", *ONCE, *ONCE, "Call", "Again", *ONCE, "AllDone", "SomeInDoubt"], "DatasetInDoubt"),
    # What cannot be acted on fails its dataset alone.
    ("ExportLoop", THREE, [TIMELESS, UNKNOWN, DONE], ["Datasets", *LOST, *LOST, *ONCE, "AllDone", "SomeFailed"], "DatasetFailed"),
    ("ExportLoop", THREE, [DOUBT, UNKNOWN, DONE], ["Datasets", *ONCE, *LOST, *ONCE, "AllDone", "SomeFailed"], "DatasetFailed"),
]


class Template(yaml.SafeLoader):
    """Reads the template; its intrinsic functions become their arguments."""


def argument(loader, _suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Template.add_multi_constructor("!", argument)


def tell(server, path, body):
    request = urllib.request.Request(server + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()


def execute(sfn, definition, role, number, given):
    machine = sfn.create_state_machine(name=f"machine-{number}", definition=definition, roleArn=role)["stateMachineArn"]
    execution = sfn.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
    for _ in range(100):
        described = sfn.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            break
        time.sleep(0.2)
    end = described["status"]
    if end == "FAILED":
        end = described.get("error", end)
    events = sfn.get_execution_history(executionArn=execution, maxResults=1000)["events"]
    return end, [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e]


def main(server):
    with open("template.yaml", encoding="utf-8") as f:
        resources = yaml.load(f, Template)["Resources"]  # noqa: S506 - a SafeLoader
    tell(server, "/moto-api/config", {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}})
    account = {"endpoint_url": server, "region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    role = boto3.client("iam", **account).create_role(RoleName="machines", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as z:
        z.writestr("bootstrap", "scripted")
    function = boto3.client("lambda", **account).create_function(
        FunctionName="scripted", Runtime="provided.al2023", Role=role, Handler="bootstrap", Code={"ZipFile": code.getvalue()})
    sfn, wrong = boto3.client("stepfunctions", **account), 0
    for number, (name, given, scripted, states, end) in enumerate(CASES):
        later = now() + datetime.timedelta(seconds=WAIT)
        answers = [busy(later) if a == "wait" else a for a in scripted]
        tell(server, "/moto-api/static/lambda-simple/response", {"results": [json.dumps(a) for a in answers], "region": "us-east-1"})
        definition = json.dumps(resources[name]["Properties"]["Definition"]).replace("${Function}", function["FunctionArn"]).replace("${Partition}", "aws")
        got = execute(sfn, definition, role, number, given)
        order = sorted if len(given.get("datasets", [])) > 1 else list  # datasets run side by side
        hasty = "wait" in scripted and now() < later - datetime.timedelta(seconds=MOTO_EARLY)
        if (got[0], order(got[1])) != (end, order(states)) or hasty:
            wrong += 1
            print(f"{name}, answers {answers}:\n  entered {got}\n  wanted  {(end, states)}", file=sys.stderr)
            if hasty:
                print(f"  and did not wait until {later}", file=sys.stderr)
    print(f"state machines: {len(CASES) - wrong} of {len(CASES)} executions went as the template says")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
