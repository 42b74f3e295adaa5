#!/usr/bin/env python3
"""Deploys the version before this issue (ee17bce) on ministack, with rows, queued and dead
messages and an export half done, updates it to this checkout's and goes back, as
docs/operate.md says it: nothing is replaced or lost, each schedule fires once, nobody is
doubled or disabled. Usage: upgrade.py FOLDER"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from emulator import REGION, ROOT, Emulator, clone, log, wait
from terminal import Shell

OLD = "ee17bce"
STACK = "hikyaku"
KEPT = ("Bucket", "UserQueue", "DeadLetterQueue", "WebhookApi", "TokenRefreshLog", "WebhookRelayIngestLog", "WebhookRelayRelayLog",
        "WebhookRelayReconcileLog", "ExportLog", "Database")
DATASETS = ["yappli/users", "supersaas/users", "shopline/orders"]


def fail(what, *found):
    raise SystemExit("upgrade: " + what + (": " + json.dumps(found, default=str, ensure_ascii=False)[:3000] if found else ""))


class Upgrade:
    def __init__(self, folder):
        self.emulator = Emulator(folder)
        self.folder = folder

    def shell(self, name, commit=None):
        return Shell(clone(self.folder / name, commit), self.emulator.env, self.folder / f"{name}.sh")

    def deploy(self, shell, overrides):
        """Builds and deploys, as both versions are."""
        (shell.folder / "samconfig.shop.toml").write_text(f"""version = 0.1
[default.global.parameters]
stack_name = "{STACK}"
region = "{REGION}"
[default.deploy.parameters]
capabilities = "CAPABILITY_IAM CAPABILITY_AUTO_EXPAND"
confirm_changeset = false
resolve_s3 = true
fail_on_empty_changeset = false
parameter_overrides = "{overrides}"
""")
        code, screen = shell.run("sam build\nsam deploy --config-file samconfig.shop.toml")
        if code:
            fail("a deployment", self.failures(), screen[-1500:])

    def failures(self):
        events = self.emulator.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
        return [(e["LogicalResourceId"], e.get("ResourceStatusReason")) for e in events if "FAILED" in e["ResourceStatus"]]

    def start(self, machine, event):
        states = self.emulator.client("stepfunctions")
        execution = states.start_execution(stateMachineArn=self.emulator.resources(STACK)[machine], input=json.dumps(event))["executionArn"]
        return lambda: states.describe_execution(executionArn=execution)

    def finish(self, machine, event):
        """Runs a state machine to its end, and returns what it answers."""
        ended = self.start(machine, event)
        return wait(f"the end of {machine}", lambda: ended()["status"] != "RUNNING" and ended(), 120, 1)

    def reconcile(self):
        """Compares both lists; off is the answer until both tokens can be read."""
        wait("a reconcile", lambda: '"off"' not in self.finish("ReconcileLoop", {"event": {"action": "reconcile"}}).get("output", '"off"'), 240, 5)

    def members(self):
        return {m["id"]: m for m in self.emulator.records("yappli")["users"]}

    def member(self, user):
        return next(m for m in self.members().values() if m["unique_id"] == f"ss-{user}")

    def rename(self, user, name):
        records = self.emulator.records("supersaas")
        next(u for u in records["users"] if u["id"] == user)["full_name"] = name
        self.emulator.put_records("supersaas", records)

    def waiting(self, queue):
        url = self.emulator.resources(STACK)[queue]
        got = self.emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(got[a]) for a in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"))

    def versions(self):
        """Each secret's current version."""
        secrets = self.emulator.client("secretsmanager")
        return {s["Name"]: secrets.get_secret_value(SecretId=s["Name"])["VersionId"] for s in secrets.list_secrets(MaxResults=100)["SecretList"]}

    def keys(self, part):
        s3 = self.emulator.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.emulator.resources(STACK)["Bucket"], Prefix=f"{STACK}/{part}")
        return {o["Key"]: o["ETag"] for p in pages for o in p.get("Contents", [])}

    def relay(self, enabled):
        functions, ids = self.emulator.client("lambda"), self.emulator.resources(STACK)
        functions.update_event_source_mapping(UUID=ids["WebhookRelayRelayFunctionUsers"], Enabled=enabled)

    # ------------------------------------------------------------------- steps

    def before(self):
        """The old version at work: rows, messages that wait, dead ones, an export half done."""
        secrets = self.emulator.client("secretsmanager")
        self.deploy(self.shell("old", OLD), "Prefix=hikyaku TimeZone=Asia/Tokyo RelayMode=write IdentityPrefix=ss-")
        for name in ("supersaas", "yappli", "shopline"):
            connection = dict(self.emulator.providers[name]["connection"])
            if name == "shopline":
                connection["base_url"] = "http://127.0.0.1:9/v1"  # nobody answers: its export does not get on
            secrets.create_secret(Name=f"{STACK}/{name}/connection", SecretString=json.dumps(connection))
        secrets.create_secret(Name=f"{STACK}/supersaas/webhook", SecretString=json.dumps({"current": "w" * 43}))
        wait("the old version's tokens", lambda: {f"{STACK}/{p}/token" for p in ("supersaas", "yappli")} <= self.versions().keys(), 240, 2)
        self.reconcile()
        users = self.emulator.records("supersaas")["users"]
        self.users = {f"ss-{u['id']}" for u in users}
        wait("the old version's members", lambda: self.users <= {m["unique_id"] for m in self.members().values()}, 180, 2)
        self.relay(False)
        queue = self.emulator.client("sqs")
        ids = self.emulator.resources(STACK)
        log("upgrade: the old version made %d members", len(self.users))
        rows = self.keys("state/relay/")
        self.changed = users[0]["id"]
        self.rename(self.changed, "検証 花子")
        for target, user in (("UserQueue", users[0]["id"]), ("DeadLetterQueue", users[1]["id"])):
            queue.send_message(QueueUrl=ids[target], MessageGroupId=str(user), MessageDeduplicationId=f"{target}-{user}",
                               MessageBody=json.dumps({"user": str(user), "event": "change", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}))
        self.at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.start("ExportLoop", {"datasets": DATASETS, "scheduled_time": self.at})
        wait("two of three datasets", lambda: len([k for k in self.keys("exports/") if k.endswith("_manifest.json")]) >= 2, 120, 1)
        return rows

    def same(self, what, before, after):
        if before != after:
            fail(f"{what} changed", before, after)

    def after(self, rows):
        """This version in its place."""
        ids, versions, members = self.emulator.resources(STACK), self.versions(), self.members()
        exported = self.keys("exports/")
        self.new = self.shell("new")
        self.new.template = json.loads((self.new.folder / "template.yaml").read_text(encoding="utf-8"))
        self.deploy(self.new, "Prefix=hikyaku TimeZone=Asia/Tokyo RelayMode=write IdentityPrefix=ss-")
        now = self.emulator.resources(STACK)
        self.same("the physical id of what holds something", {k: ids[k] for k in KEPT}, {k: now[k] for k in KEPT})
        self.same("a secret", versions, {k: v for k, v in self.versions().items() if k in versions})
        self.same("what was exported", exported, {k: v for k, v in self.keys("exports/").items() if k in exported})
        if lost := rows.keys() - self.keys("state/relay/").keys():
            fail("rows are lost", sorted(lost)[:5])
        scheduled = self.emulator.client("scheduler").list_schedules()["Schedules"]
        if len(scheduled) != len([1 for r in self.new.template["Resources"].values() if r["Type"] == "AWS::Scheduler::Schedule"]):
            fail("schedules", [s["Name"] for s in scheduled])
        self.ticks()
        self.relay(True)
        wait("the message that waited", lambda: self.waiting("UserQueue") == 0, 120, 1)
        wait("the change that waited", lambda: self.member(self.changed)["column01"] == "検証 花子", 60, 1)
        self.same("the dead letters", 1, self.waiting("DeadLetterQueue"))
        self.nobody_doubled(members)
        # A run that the old version left half done is refused by name; the next one
        # covers what it would have, and is not begun by the same scheduled time.
        secrets = self.emulator.client("secretsmanager")
        secrets.put_secret_value(SecretId=f"{STACK}/shopline/connection", SecretString=json.dumps(self.emulator.providers["shopline"]["connection"]))
        wait("SHOPLINE's token", lambda: f"{STACK}/shopline/token" in self.versions(), 200, 2)
        next_run = {"datasets": ["shopline/orders"], "scheduled_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        if (ended := self.finish("ExportLoop", next_run))["status"] != "SUCCEEDED":
            fail("the run after the one that was half done", ended)
        manifests = [k for k in self.keys("exports/") if k.endswith("_manifest.json")]
        if len(manifests) != len(DATASETS):
            fail("a run was made twice, or not", manifests)

    def ticks(self):
        """Each minute the token's schedule fires once."""
        logs = self.emulator.client("logs")
        began = int(time.time() * 1000)
        time.sleep(125)
        events = logs.filter_log_events(logGroupName=f"/hikyaku/{STACK}/tokenrefresh", startTime=began)["events"]
        starts = [e for e in events if e["message"].startswith("START")]
        if not 1 <= len(starts) <= 3:
            fail("ticks in two minutes", len(starts))
        log("upgrade: %d ticks in two minutes", len(starts))

    def nobody_doubled(self, before):
        members = self.members()
        names = [m["unique_id"] for m in members.values()]
        if len(names) != len(set(names)) or members.keys() != before.keys():
            fail("members", len(members), len(before))
        if off := [m["id"] for m in members.values() if m["enabled"] != before[m["id"]]["enabled"]]:
            fail("members were disabled or enabled", off)

    def back(self):
        """The old version again, as docs/operate.md says it under Rollback."""
        members, versions = self.members(), self.versions()
        ids = self.emulator.resources(STACK)
        self.relay(False)
        s3 = self.emulator.client("s3")
        for key in self.keys("state/relay/"):
            if key.endswith("/index"):
                s3.delete_object(Bucket=ids["Bucket"], Key=key)
        old = Shell(self.folder / "old", self.emulator.env, self.folder / "old.sh")
        self.deploy(old, "Prefix=hikyaku TimeZone=Asia/Tokyo RelayMode=write IdentityPrefix=ss-")
        now = self.emulator.resources(STACK)
        self.same("the physical id of what holds something", {k: ids[k] for k in KEPT}, {k: now[k] for k in KEPT})
        self.relay(True)
        self.reconcile()
        wait("an empty queue", lambda: self.waiting("UserQueue") == 0, 120, 1)
        self.nobody_doubled(members)
        self.same("a secret", {k: v for k, v in versions.items() if "/token" not in k}, {k: v for k, v in self.versions().items() if k in versions and "/token" not in k})


def main(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends
    upgrade = Upgrade(folder)
    emulator = upgrade.emulator
    try:
        emulator.start()
        subprocess.run(["go", "build", "-o", folder / "bin/hikyaku", "./cmd/hikyaku"], cwd=ROOT, check=True)
        emulator.serve(folder / "bin/hikyaku", records=12)
        rows = upgrade.before()
        upgrade.after(rows)
        log("upgrade: %s to this version: nothing is replaced or lost", OLD)
        upgrade.back()
        log("upgrade: and back: nobody is doubled or disabled")
    finally:
        emulator.stop()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
