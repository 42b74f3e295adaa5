#!/usr/bin/env python3
"""Updates a stack of ee17bce on ministack to this checkout, by the commands of
docs/operate.md, Upgrade, and goes back by those of Rollback, with messages that wait and
that are dead, a comparison and an export half done, and pairs that nobody approved.
Usage: upgrade.py FOLDER [GUARD...]. FOLDER is made anew and holds every log. For each
GUARD it goes there and back once more, without that command of Rollback: somebody has to
get a second member, else nothing shows that the command is needed."""
import collections
import hashlib
import json
import pathlib
import re
import shutil
import signal
import ssl
import sys
import time
import urllib.parse
import urllib.request

import changes
import job
from botocore.exceptions import ClientError
from door import Door
from emulator import REGION, ROOT, Emulator, clone, log, wait
from terminal import Shell, blocks

OLD, STACK, USERS = "ee17bce", "hikyaku", 20
MAPPING = "login_id: email\ncolumn01: full_name\ncolumn02: e164(default(mobile, phone))\n"
SETTINGS = "Prefix=hikyaku TimeZone=Asia/Tokyo RelayMode=write Identity=email IdentityPrefix=ss- LogLevel=INFO"
GUARDS = {"index": "aws s3 mv"}  # how their lines in Rollback begin


def fail(text, *values):
    raise SystemExit("ministack: upgrade: " + (text % values if values else text))


# ---------------------------------------------- gaps that only this script meets


def missing_secrets(template):
    """A secret that is missing is looked for without the six characters of its ARN there,
    which roles of then deny; and changes.py knows roles that are written out alone."""
    for function in changes.resources(template, "AWS::Serverless::Function").values():
        for policy in function["Properties"].get("Policies", []):
            for statement in policy["Statement"]:
                changes.batch_statement(statement)
                if "secretsmanager:GetSecretValue" in json.dumps(statement["Action"]):
                    names = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
                    statement["Resource"] = names + [{"Fn::Sub": n["Fn::Sub"].removesuffix("-*")} for n in names]


def missing_secrets_needed(emulator):
    allowed = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "arn:aws:secretsmanager:*:*:secret:probe-missing-*"}
    try:
        return changes.refused_to(emulator, allowed, "secretsmanager", lambda c: c.get_secret_value(SecretId="probe-missing"))
    except ClientError:
        return False


def rates(template):
    """The sandboxes allow 100 requests a second, and nobody waits for minutes; the rates
    of then are no parameters."""
    for function in changes.resources(template, "AWS::Serverless::Function").values():
        variables = function["Properties"].get("Environment", {}).get("Variables", {})
        variables.update({name: "100" for name in variables if name.endswith("_RATE") and isinstance(variables[name], str)})


class Upgrade(job.Job):
    """One stack, from the old version to this one and back."""

    def __init__(self, emulator):
        self.old = clone(emulator.folder / "old", OLD)
        self.new = clone(emulator.folder / "shop")
        path = self.old / "config/mapping.yaml"
        path.write_text(path.read_text(encoding="utf-8").split("\nlogin_id:")[0] + "\n" + MAPPING, encoding="utf-8")
        for folder in (self.old, self.new):
            path = folder / "template.yaml"
            template = json.loads(path.read_text(encoding="utf-8"))
            missing_secrets(template)
            rates(template)
            path.write_text(json.dumps(template, indent=1), encoding="utf-8")
        emulator.env |= {"OLD": str(self.old), "NEW": str(self.new)}
        super().__init__(emulator, Shell(self.new, emulator.env, emulator.folder / "state.sh"))
        self.s3, self.sqs = emulator.client("s3"), emulator.client("sqs")

    def do(self, text, folder=None):
        """Runs commands in a folder, as an operator of today."""
        self.shell.folder = folder or self.new
        code, self.screen = self.shell.run(text, job.ASKED, 420)
        if code != 0:
            fail("exit code %d of:\n%s\n%s", code, text, self.screen[-4000:])
        return self.screen

    def follow(self, heading, meanwhile=(), without=None):
        """Follows a section of docs/operate.md. meanwhile are pairs of a command, and what
        happens once its block has run. without is the beginning of a line to leave out."""
        page = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
        section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        if without:
            section, found = re.subn(rf"^( *){without} .*$", rf"\1: {without}, left out", section, flags=re.MULTILINE)
            if found != 1:
                fail("the section %s has %d lines that begin with %s", heading, found, without)
        pending = list(meanwhile)
        for kind, text in blocks(section):
            started = time.monotonic()
            if kind == "sh":
                self.do(text)
                for command, happens in [p for p in pending if p[0] in text]:
                    pending.remove((command, happens))
                    happens()
            log("%5.1f s  %s: %s: %s", time.monotonic() - started, heading, kind, text.strip().splitlines()[0][:90])
        if pending:
            fail("the section %s has no command %s", heading, pending[0][0])

    # ------------------------------------------------------------------- state

    def identifiers(self):
        """The physical ids of what has to stay."""
        return {n: i for n, i in self.emulator.resources(STACK).items()
                if n.endswith(("Function", "Loop", "Log", "Queue", "FunctionUsers", "Table")) or n in ("Bucket", "WebhookApi", "Database")}

    def address(self):
        return self.emulator.outputs(STACK)["WebhookUrl"]

    def secrets(self):
        names = self.emulator.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]
        return {s["Name"]: s["ARN"] for s in names}

    def rows(self):
        """The member of each user, as the rows name it."""
        found = {}
        for key, read in self.objects(f"{STACK}/state/relay/"):
            if "/rows/" in key:
                row = json.loads(read())
                data = row.get("data", row)
                found[key.rsplit("/", 1)[1]] = data.get("member")
        return found

    def waiting(self, queue):
        got = self.sqs.get_queue_attributes(QueueUrl=self.emulator.outputs(STACK)[queue], AttributeNames=["All"])["Attributes"]
        return int(got["ApproximateNumberOfMessages"]) + int(got["ApproximateNumberOfMessagesNotVisible"]) + int(got["ApproximateNumberOfMessagesDelayed"])

    def dead(self):
        """The bodies of the dead messages, which stay where they are."""
        url = self.emulator.outputs(STACK)["DeadLetterQueueUrl"]
        got = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        return sorted(hashlib.sha256(m["Body"].encode()).hexdigest() for m in got)

    def schedules(self):
        client = self.emulator.client("scheduler")
        found = []
        for page in client.get_paginator("list_schedules").paginate():
            found += [client.get_schedule(Name=s["Name"], GroupName=s["GroupName"]) for s in page["Schedules"]]
        return found

    def reconcile(self):
        if (status := self.ended(self.start("ReconcileLoopArn", {"event": {"action": "reconcile"}}))) != "SUCCEEDED":
            fail("the comparison ended %s", status)

    def held(self):
        """The members, by the number that Yappli gave them."""
        return {m["id"]: m for m in self.members()}

    def settled(self):
        """Waits until every user has the one member that the mapping makes."""
        wait("an empty queue", lambda: self.waiting("UserQueueUrl") == 0, 180, 1)
        self.whole()

    def whole(self):
        def fits():
            by = {}
            for member in self.members():
                by.setdefault(member["unique_id"], []).append(member)
            return all(len(own := by.get(unique(u), [])) == 1 and own[0]["column01"] == u["full_name"] and own[0]["login_id"] == u["email"]
                       and own[0].get("enabled", 1) for u in self.users())
        wait("one member of each user, as the mapping makes it", fits, 180, 1)
        if len(self.members()) != self.count:
            fail("there are %d members, and were to be %d", len(self.members()), self.count)

    def change(self, users, name):
        for user in users:
            self.edit("supersaas", lambda u, i=user: u["id"] == i, full_name=f"{name} {user}")
            self.webhook(user)

    def webhook(self, user):
        address = urllib.parse.urlsplit(self.hook)
        record = next(u for u in self.users() if u["id"] == user)
        self.post(address.path, json.dumps({**record, "event": "change"}).encode())

    def post(self, path, body):
        host = urllib.parse.urlsplit(self.hook).hostname.split(".")[0] + ".execute-api.127.0.0.1"
        request = urllib.request.Request(f"{self.emulator.url}{path}", data=body, headers={"Host": host, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context(cafile=self.emulator.certificate)) as answer:
            if answer.status != 200:
                fail("a webhook was answered %d", answer.status)

    # ------------------------------------------------------------------- steps

    def before(self):
        """The stack of the old version, in write mode, with users and their members."""
        self.do("make install && export AWS_REGION=ap-northeast-1")
        self.emulator.serve(self.emulator.folder / "bin/hikyaku", records=USERS)
        self.doors = {p: Door(self.emulator.sandboxes[p]) for p in ("yappli", "supersaas", "shopline")}
        self.do("sam build && sam deploy --stack-name hikyaku --region ap-northeast-1 --resolve-s3 --no-confirm-changeset "
                f"--capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --parameter-overrides {SETTINGS}", self.old)
        self.do(f"go build -o {self.emulator.folder}/bin/old-hikyaku ./cmd/hikyaku", self.old)
        for provider, door in self.doors.items():
            connection = self.emulator.providers[provider]["connection"]
            connection["base_url"] = connection["base_url"].replace(self.emulator.sandboxes[provider], door.url)
            path = self.emulator.folder / f"{provider}.json"
            path.write_text(json.dumps(connection), encoding="utf-8")
            self.do(f"HIKYAKU_ALLOW_HOSTS=127.0.0.1 old-hikyaku connect {provider} --prefix hikyaku --unchecked < {path}", self.old)
        secret = hashlib.sha256(b"upgrade").hexdigest()
        self.emulator.client("secretsmanager").create_secret(Name=f"{STACK}/supersaas/webhook", SecretString=json.dumps({"current": secret}))
        self.hook = self.address() + secret
        # An identity that the new version knows by another name, which has no capitals.
        for user in self.users():
            self.edit("supersaas", lambda u, i=user["id"]: u["id"] == i, email=user["email"].title())
        users, members = self.users(), self.members()
        self.count = len(users) + len(members)
        wait("the tokens", self.tokens, 60)
        self.reconcile()
        self.settled()

    def tokens(self):
        """Looks at the tokens as the schedule does each minute."""
        function = self.emulator.resources(STACK)["TokenRefreshFunction"]
        self.emulator.client("lambda").invoke(FunctionName=function, Payload=b'{"source":"aws.scheduler"}')
        return all(map(self.token_of, self.doors))

    def token_of(self, provider):
        """The credential that counts, if there is one."""
        client = self.emulator.client("secretsmanager")
        try:
            return json.loads(client.get_secret_value(SecretId=f"{STACK}/{provider}/token")["SecretString"])["credential"]
        except (client.exceptions.ResourceNotFoundException, KeyError):
            return ""

    def interrupt(self):
        """Messages wait and are dead, and a comparison and an export have begun."""
        users = [u["id"] for u in self.users()]
        self.late, dead = users[:6], users[6:8]
        url = {q: self.emulator.outputs(STACK)[q] for q in ("UserQueueUrl", "DeadLetterQueueUrl")}
        for user in dead:
            body = json.dumps({"user": str(user), "event": "change", "at": "2026-11-22T01:15:09Z"})
            self.sqs.send_message(QueueUrl=url["DeadLetterQueueUrl"], MessageBody=body, MessageGroupId=str(user), MessageDeduplicationId=str(user))
        self.doors["yappli"].close_after(0)
        self.doors["shopline"].close_after(1)
        scheduled = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
        self.run = {"datasets": ["shopline/customers", "shopline/orders", "supersaas/users"], "scheduled_time": scheduled}
        self.exports = self.start("ExportLoopArn", self.run)
        self.comparison = self.start("ReconcileLoopArn", {"event": {"action": "reconcile"}})
        self.change(self.late, "更新 前")
        journals = lambda: [k for k, _ in self.objects(f"{STACK}/state/") if "/export/" in k or "reconcile" in k]
        wait("journals of the runs", lambda: any("/export/" in k for k in journals()) and any("reconcile" in k for k in journals()), 60, 0.5)
        if self.waiting("UserQueueUrl") < len(self.late) or len(self.dead()) != len(dead):
            fail("%d messages wait and %d are dead", self.waiting("UserQueueUrl"), len(self.dead()))

    def update(self):
        """The update of the page; what waits, is dead or had begun is there afterwards."""
        before, address, secrets, rows, dead, held = self.identifiers(), self.address(), self.secrets(), self.rows(), self.dead(), self.held()
        if len(rows) != USERS or not all(rows.values()):
            fail("of %d rows %d have a member", len(rows), len(list(filter(None, rows.values()))))

        def updated():
            self.stayed(before, address, secrets, dead)
            if self.held() != held or self.waiting("UserQueueUrl") < len(self.late):
                fail("while Yappli was down, members changed or a message was lost: %d wait", self.waiting("UserQueueUrl"))
            self.updated_at = time.time()
            for door in self.doors.values():
                door.open()

        self.upgrade(updated)
        again = self.start("ExportLoopArn", self.run)
        self.settled()
        wait("the comparison that had begun starting over", lambda: self.said("reconcile", "another version of Hikyaku began it"), 120, 1)
        wait("the export that had begun being refused", lambda: self.said("export", "begun by another version of Hikyaku"), 120, 1)
        self.stop(self.exports, self.comparison, again)
        if (now := self.rows()) != rows:
            fail("%d rows name another member than before", len([u for u in rows if now.get(u) != rows[u]]))
        log("         %d messages handled, %d rows name the members of before, the comparison started over, the export was refused by name", len(self.late), len(rows))

    def upgrade(self, updated=lambda: None):
        """Follows the page, and does by hand what an identity needs that customers edit."""
        by_hand = lambda: self.do("grep -q IdentityEditable samconfig.hikyaku.toml || sed -i 's/Prefix=hikyaku/& IdentityEditable=yes/' samconfig.hikyaku.toml")
        self.follow("Upgrade", [("grep -q stack_name", by_hand), ("sam deploy", updated)])

    def stayed(self, before, address, secrets, dead):
        now = self.identifiers()
        if lost := {n for n, i in before.items() if now.get(n) != i}:
            fail("made anew: %s", sorted(lost))
        if self.address() != address:
            fail("the API's address was %s and is %s", address, self.address())
        if any(self.secrets().get(n) != arn for n, arn in secrets.items()):
            fail("a secret was made anew")
        if self.dead() != dead:
            fail("the dead messages differ")
        log("         %d resources, the address, %d secrets and %d dead messages are those of before", len(before), len(secrets), len(dead))

    def said(self, log_group, *texts, since=0):
        """Whether a line of a function's log has these texts."""
        pages = self.emulator.client("logs").get_paginator("filter_log_events").paginate(
            logGroupName=f"/hikyaku/{STACK}/{log_group}", startTime=int(since * 1000))
        return any(all(t in e["message"] for t in texts) for p in pages for e in p["events"])

    def stop(self, *executions):
        steps = self.emulator.client("stepfunctions")
        for execution in executions:
            if steps.describe_execution(executionArn=execution)["status"] == "RUNNING":
                steps.stop_execution(executionArn=execution)

    def called(self, want):
        """Each of the schedules is there once, is on, and calls what no other calls."""
        found = [(s["Target"]["Arn"].split(":", 5)[5], s["Target"].get("Input", ""), s["State"]) for s in self.schedules()]
        if len(found) != want or len({f[:2] for f in found}) != want or {f[2] for f in found} != {"ENABLED"}:
            fail("the schedules are %s", sorted(found))

    def ticks(self):
        """How often the function for tokens was called in the two minutes after the update;
        the pauses are looked at after five for the first time."""
        time.sleep(max(0, self.updated_at + 122 - time.time()))
        pages = self.emulator.client("logs").get_paginator("filter_log_events").paginate(
            logGroupName=f"/hikyaku/{STACK}/tokenrefresh", startTime=int(self.updated_at * 1000), endTime=int((self.updated_at + 120) * 1000))
        found = len([e for p in pages for e in p["events"] if e["message"].startswith("START")])
        if not 1 <= found <= 3:
            fail("%d looks at the tokens in two minutes", found)
        return found

    def export(self):
        """A run of a later time covers what the one that was refused would have."""
        for bucket in ("shopline/customers", "shopline/orders"):
            before = len(self.exported().get(bucket, []))
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            if (status := self.ended(self.start("ExportLoopArn", {"datasets": [bucket], "scheduled_time": at}))) != "SUCCEEDED":
                fail("the export of %s ended %s", bucket, status)
            read, held = self.exported()[bucket][before:], self.emulator.records("shopline")[bucket.split("/")[1]]
            if before == 0 and sorted(map(job.line, read)) != sorted(map(job.line, held)):
                fail("%s: %d records exported, %d held, and they differ", bucket, len(read), len(held))

    def add(self, number):
        """Somebody new, of whom no webhook tells yet."""
        records = self.emulator.records("supersaas")
        user = {**records["users"][0], "id": number, "name": f"new-{number}@shop.example", "email": f"New-{number}@Shop.example", "full_name": f"新規 {number}"}
        records["users"].append(user)
        self.emulator.put_records("supersaas", records)
        self.count += 1
        return user

    def sign_up(self, number):
        """Somebody new, who gets one member."""
        self.add(number)
        self.webhook(number)

    def propose(self):
        """Two users whose members a person made: one waits for approval, one is rejected."""
        loop, steps = self.emulator.outputs(STACK)["ReconcileLoopArn"], self.emulator.client("stepfunctions")
        wait("the end of comparisons", lambda: not steps.list_executions(stateMachineArn=loop, statusFilter="RUNNING")["executions"], 120, 1)
        first = 29450000 + self.count
        self.pairs = {first: f"9{first}", first + 1: f"9{first + 1}"}
        linked = next(m for m in self.members() if m["unique_id"] == unique(self.users()[0]))
        for number, member in self.pairs.items():
            user, records = self.add(number), self.emulator.records("yappli")
            records["users"].append({**linked, "id": member, "unique_id": unique(user), "login_id": user["email"], "column01": user["full_name"]})
            self.emulator.put_records("yappli", records)
        self.reconcile()
        self.do(f"hikyaku links reject --user {first + 1} --stack hikyaku")
        if str(first) not in (listed := self.do("hikyaku links list --stack hikyaku")) or str(first + 1) in listed:
            fail("of the pairs one was to wait for a decision:\n%s", listed)

    def work(self):
        """What the new version does with what the old one left."""
        self.called(5)
        self.sign_up(29450001)
        self.change([u["id"] for u in self.users()[8:10]], "更新 後")
        self.propose()
        self.settled()
        self.export()
        log("         5 schedules, %d looks at the tokens in two minutes; a new user has one member; the export covers what was refused", self.ticks())

    def back(self):
        """Back by the page: nobody is doubled, disabled or written but who changed."""
        self.settled()
        before, address, secrets, rows, dead, held = self.identifiers(), self.address(), self.secrets(), self.rows(), self.dead(), self.held()
        late = [u["id"] for u in self.users()[10:13]]
        for door in self.doors.values():
            door.writes.clear()
        self.rollback(late, lambda: self.rested(held, [*late, *self.pairs]))
        self.stayed(before, address, secrets, dead)
        self.awaiting(self.deployed_at)
        if doubled := self.doubled():
            fail("after an incomplete list the users %s have two members", doubled)
        self.doors["yappli"].hides = False
        self.reconcile()
        self.settled()
        users = {unique(u): u for u in self.users()}
        changed = {n: users[m["unique_id"]]["id"] for n, m in held.items() if m["unique_id"] in users and users[m["unique_id"]]["id"] in [*late, *self.pairs]}
        for number, member in self.held().items():
            want = {**held[number], "column01": users[member["unique_id"]]["full_name"]} if number in changed else held[number]
            if differ := {k for k in want.keys() | member.keys() if want.get(k) != member.get(k)} - {"updated_at"}:
                fail("the member %s differs in %s", number, sorted(differ))
        # A comparison that links a pair sends its user, too, who is then written at most twice.
        writes = collections.Counter(w.rsplit("/", 1)[1] for w in self.doors["yappli"].writes)
        if writes.keys() != changed.keys() or any(writes[n] > (1 if user in late else 2) for n, user in changed.items()):
            fail("Yappli was written %s for changes of %s", dict(writes), sorted(changed))
        if (now := self.rows()) != (want := rows | {str(u): m for u, m in self.pairs.items()}):
            fail("%d rows name another member than before", len([u for u in want if now.get(u) != want[u]]))
        self.called(4)
        log("         %d members compared, the %d of those who changed meanwhile were written once each, %d rows name the members of before", len(held), len(late), len(list(filter(None, rows.values()))))
        log("         after an empty list nobody was made; after a complete one the pair that waited and the one rejected are linked")
        self.sign_up(29450002)
        self.settled()
        self.export()
        log("         the old version makes one member of a new user, and exports")

    def rollback(self, late, deployed=lambda: None, without=None):
        """Follows the page. Users change meanwhile, and the list of members that the old
        version reads first is empty: an answer that a provider gives in a bad hour."""
        def then():
            self.deployed_at = time.time()
            deployed()
            self.doors["yappli"].hides = True

        begins = lambda: self.change([*late, *self.pairs], "戻り 中")
        self.follow("Rollback", [("hikyaku pause export", begins), ("sam deploy", then)], without)

    def awaiting(self, since):
        for user in self.pairs:
            wait(f"the user {user} waiting for a list", lambda u=user: self.said("relay", "awaiting_list", str(u), since=since), 60, 1)

    def rested(self, held, late):
        """The queue is not read until the old version has seen both lists."""
        if self.held() != held or self.waiting("UserQueueUrl") != len(late):
            fail("the queue was read during the way back: %d messages wait", self.waiting("UserQueueUrl"))

    def doubled(self):
        """The users of whom there are two members."""
        members = collections.Counter(m["unique_id"] for m in self.members())
        return [u["id"] for u in self.users() if members[unique(u)] > 1]

    def unguarded(self, guard):
        """There and back without one command: users of pairs get a second member."""
        self.upgrade()
        self.propose()
        self.rollback([], without=GUARDS[guard])
        wait(f"harm without '{GUARDS[guard]}'", lambda: set(self.pairs) <= set(self.doubled()), 150, 1)
        self.doors["yappli"].hides = False
        log("         without '%s' both users whose pair waited or was rejected got a second member", GUARDS[guard])


def unique(user):
    return f"ss-{user['email']}"


def main(folder, *guards):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends
    emulator = Emulator(folder)
    try:
        emulator.start()
        go(Upgrade(emulator), guards)
    finally:
        emulator.stop()


def go(u, guards):
    for step, *guard in [(u.before,), (u.interrupt,), (u.update,), (u.work,), (u.back,), *((u.unguarded, g) for g in guards)]:
        started = time.monotonic()
        step(*guard)
        log("%5.1f s  %s", time.monotonic() - started, " ".join(step.__doc__.split()))
    if denied := u.emulator.denied():
        fail("denied:\n%s", "\n".join(denied[:20]))
    log("ministack: from %s to this version and back: 0 calls denied", OLD)
    # Last, as the probe is denied.
    if not missing_secrets_needed(u.emulator):
        fail("missing_secrets is no longer needed: remove it")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])
