"""What a person does in docs/deploy.md: the answers to the prompts, the steps that need a
browser, done at the sandboxes, and what has to hold at the end."""
import gzip
import http.cookiejar
import json
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

import alarms
import changes
from emulator import wait

STACK = "hikyaku"
DATASETS = {"yappli/users", "supersaas/users", "supersaas/appointments", "shopline/customers", "shopline/orders", "assisttencho/orders"}


class Job:
    def __init__(self, emulator, shell):
        self.emulator, self.shell = emulator, shell
        self.ran = 0
        self.screen = ""

    def block(self, text):
        """Runs a block of the page; it has to end well."""
        if "hikyaku --version" in text:
            code, self.screen = self.shell.run(text)
            self.emulator.serve(self.emulator.folder / "bin/hikyaku", records=24)
            self.prepare()
        else:
            code, self.screen = self.shell.run(text, self.answers())
        self.ran += len([line for line in text.splitlines() if line and not line.startswith((" ", "}", "#"))])
        with (self.emulator.folder / "screens.txt").open("a", encoding="utf-8") as screens:
            screens.write(f"$ {text}\n{self.screen}\n")
        forgiven = [t for t in changes.TOLERATED if re.search(t[2], text) and re.search(t[3], self.screen)]
        if code != 0 and not forgiven:
            raise SystemExit(f"ministack: exit code {code} of:\n{text}\n{self.screen[-4000:]}")
        for command, said in SAID:
            if re.search(command, text, re.M) and not re.search(said, self.screen, re.M):
                raise SystemExit(f"ministack: {command} does not say {said}:\n{text}\n{self.screen[-2000:]}")

    def answers(self):
        """What a person types at each prompt, by what the sandboxes' connections say."""
        c = {name: s["connection"] for name, s in getattr(self.emulator, "providers", {}).items()}
        if not c:
            return ASKED
        asst, acti, yapp, shop, saas = (c[n] for n in ("assisttencho", "actibook", "yappli", "shopline", "supersaas"))
        return ASKED + [
            (r"Address of the API that Yappli gave you[^:]*: $", yapp["base_url"]),
            (r"Client ID \(that Yappli gave you\)[^:]*: $", yapp["client_id"]),
            (r"Client secret[^:]*: $", lambda screen: self.secret(screen, yapp, asst, acti)),
            (r"Address of the Open API[^\n]*: $", shop["base_url"]),
            (r"Merchant handle or ID[^\n]*: $", shop["account"]),
            (r"API token[^\n]*: $", shop["api_key"]),
            (r"Address of the administration[^\n]*: $", asst["base_url"]),
            (r"Client ID \(アシスト店長[^:]*: $", asst["client_id"]),
            (r"Redirect URL[^\n]*: $", asst["redirect_uri"]),
            (r"Number of an order[^\n]*: $", asst["probe_order"]),
            (r"then paste the address|Then paste the address[^\n]*\n$", self.approve),
            (r"Token endpoint[^\n]*: $", acti["token_url"]),
            (r"Proxy login endpoint[^\n]*: $", acti["login_url"]),
            (r"Client ID \(that ActiBook[^:]*: $", acti["client_id"]),
            (r"Address of the API[^\n]*: $", saas["base_url"]),
            (r"Account name[^\n]*: $", saas["account"]),
            (r"API key[^\n]*: $", saas["api_key"]),
            (r"Number of a user for tests: $", str(self.tested)),
            (r"Token that links list printed: $", lambda _: self.token),
        ]

    @staticmethod
    def secret(screen, yappli, assisttencho, actibook):
        """The secret of the client that was asked for last."""
        by = {"Yappli": yappli, "アシスト店長": assisttencho, "ActiBook": actibook}
        name = re.findall(r"Client ID \((?:that )?(Yappli|アシスト店長|ActiBook)", screen)[-1]
        return by[name]["client_secrets"][0]

    def prepare(self):
        """Two members existed before, and bear what the identity will make of two users."""
        users, members = self.users(), self.members()
        self.tested = users[2]["id"]
        self.before = {users[0]["id"]: members[0]["id"], users[1]["id"]: members[1]["id"]}
        for user, member in self.before.items():
            self.edit("yappli", lambda m, i=member: m["id"] == i, unique_id=f"ss-{user}")

    # --------------------------------------------------------------- sandboxes

    def users(self):
        return self.emulator.records("supersaas")["users"]

    def members(self):
        return self.emulator.records("yappli")["users"]

    def edit(self, provider, chosen, **values):
        """Changes records of a sandbox, as their provider's own page does."""
        records = self.emulator.records(provider)
        for record in records["users"]:
            if chosen(record):
                record.update(values)
        self.emulator.put_records(provider, records)

    def approve(self, screen):
        """Approves アシスト店長's application in a browser, and returns where that ends."""
        page = re.findall(r"http://127\.0\.0\.1:\d+/\S+", screen)[-1]
        browser = urllib.request.build_opener(Stay(), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        form = browser.open(page, timeout=10).read().decode()
        fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))
        login = self.emulator.providers["assisttencho"]["login"]
        fields |= {"login_id": login["id"], "password": login["password"], "approve": "1"}
        try:
            browser.open(page, urllib.parse.urlencode(fields).encode(), timeout=10)
        except urllib.error.HTTPError as e:
            return e.headers["Location"]
        raise SystemExit("ministack: アシスト店長's sandbox sent the browser nowhere")

    @property
    def token(self):
        return re.findall(r"--token (\S+)", self.screen)[-1]

    def webhook(self, user, secret=None):
        """Posts what SuperSaaS posts of a changed user, to where its webhook points, or
        with another secret."""
        (hook,) = self.emulator.records("supersaas")["hooks"]
        address = urllib.parse.urlsplit(hook["url"] if secret is None else urllib.parse.urljoin(hook["url"], secret))
        body = json.dumps({**next(u for u in self.users() if u["id"] == user), "event": "change"}).encode()
        # ministack's own name of the same API.
        host = address.hostname.split(".")[0] + ".execute-api.127.0.0.1"
        request = urllib.request.Request(f"{self.emulator.url}{address.path}", data=body, headers={"Host": host, "Content-Type": "application/json"})
        trust = ssl.create_default_context(cafile=self.emulator.certificate)
        with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
            if answer.status != 200:
                raise SystemExit(f"ministack: a webhook was answered {answer.status}")

    def start(self, loop, text):
        return self.emulator.client("stepfunctions").start_execution(stateMachineArn=self.emulator.outputs(STACK)[loop], input=json.dumps(text))["executionArn"]

    def ended(self, execution, seconds=300):
        steps = self.emulator.client("stepfunctions")
        return wait(f"the end of {execution}", lambda: next(iter({steps.describe_execution(executionArn=execution)["status"]} - {"RUNNING"}), None), seconds, 0.5)

    # ----------------------------------------------------------------- results

    def objects(self, prefix):
        s3 = self.emulator.client("s3")
        bucket = self.emulator.outputs(STACK)["Bucket"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield item["Key"], lambda key=item["Key"]: s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def exported(self):
        """The records of each dataset, as an Athena table's reader finds them."""
        found = {}
        for key, read in self.objects(f"{STACK}/exports/"):
            if key.endswith(".jsonl.gz"):
                dataset = "/".join(key.split("/")[2:4])
                found.setdefault(dataset, []).extend(json.loads(line) for line in gzip.decompress(read()).splitlines())
        return found

    def compare(self):
        """Each user has one member, and each exported record is the sandbox's."""
        users, want = self.users(), len(self.users())
        wait("every user's member", lambda: len([m for m in self.members() if m["unique_id"].startswith("ss-")]) == want, 120, 1)
        members = {}
        for member in self.members():
            members.setdefault(member["unique_id"], []).append(member)
        for user in users:
            own = members.get(f"ss-{user['id']}", [])
            if len(own) != 1 or own[0]["login_id"] != user["email"] or own[0]["column01"] != user["full_name"]:
                raise SystemExit(f"ministack: user {user['id']} has the members {own}")
            if user["id"] in self.before and own[0]["id"] != self.before[user["id"]]:
                raise SystemExit(f"ministack: user {user['id']} got a new member beside the one who existed")
        print(f"ministack: {want} of {want} users have one member each, {len(self.before)} of them the one who existed before")
        if self.read.keys() != DATASETS:
            raise SystemExit(f"ministack: exported were {sorted(self.read)}")
        for dataset, records in sorted(self.read.items()):
            held = self.held[dataset]
            if sorted(map(line, records)) != sorted(map(line, held)) or not held:
                raise SystemExit(f"ministack: {dataset}: {len(records)} records exported, {len(held)} held, and they differ")
            print(f"ministack: {dataset}: {len(held)} records, each the same")

    # --------------------------------------------------------------- quiet days

    def operate(self):
        """Operates the stack for a while, by its name alone, and takes it down."""
        self.clean()
        self.block("hikyaku pause all --for 1h --reason 'a trial' --yes\nhikyaku pause")
        states = self.states()
        if set(states.values()) != {"DISABLED"}:
            raise SystemExit(f"ministack: paused, and yet {states}")
        self.edit("supersaas", lambda u: u["id"] == self.tested, full_name="検証 太郎")
        self.webhook(self.tested)
        time.sleep(5)
        if self.member(self.tested)["column01"] == "検証 太郎":
            raise SystemExit("ministack: the relay wrote while it was paused")
        self.block("hikyaku resume all --yes")
        if set(self.states().values()) != {"ENABLED"}:
            raise SystemExit(f"ministack: resumed, and yet {self.states()}")
        wait("the change that waited", lambda: self.member(self.tested)["column01"] == "検証 太郎", 60, 1)
        path = self.shell.folder / "mapping.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace("column01: full_name", "column01: upper(full_name)"), encoding="utf-8")
        self.block("hikyaku mapping put mapping.yaml --reason 'a trial' --yes\nhikyaku mapping undo --yes\nhikyaku mapping log")
        self.block("sed -i.before 's/RelayMode=write/RelayMode=write LogLevel=INFO/' samconfig.hikyaku.toml\n"
                   "AWS_PROFILE=hikyaku-deployer sam deploy --config-file samconfig.hikyaku.toml")
        ids = self.emulator.resources(STACK)
        for function in ("TokenRefreshFunction", "WebhookRelayRelayFunction", "ExportFunction"):
            shown = self.emulator.client("lambda").get_function_configuration(FunctionName=ids[function])
            if shown["Environment"]["Variables"]["HIKYAKU_LOG_LEVEL"] != "INFO":
                raise SystemExit(f"ministack: {function} did not get the new setting")
        self.clean()
        if denied := self.emulator.denied():  # the log groups go with the stack
            raise SystemExit("ministack: denied:\n" + "\n".join(denied[:20]))
        self.block("hikyaku hooks remove\nAWS_PROFILE=hikyaku-deployer sam delete --stack-name hikyaku --no-prompts --region ap-northeast-1")
        if self.emulator.status(STACK) not in ("", "DELETE_COMPLETE"):
            raise SystemExit(f"ministack: the stack is {self.emulator.status(STACK)}")
        print("ministack: doctor, pause, resume, mapping put and undo, a new setting, and the end of the stack")

    def second(self, commands):
        """A second stack beside the first, by the commands of docs/operate.md."""
        first = self.emulator.resources(STACK)
        secrets = self.emulator.client("secretsmanager")
        before = {s["Name"] for s in secrets.list_secrets(MaxResults=100)["SecretList"]}
        # The deployer's and the operator's rights are of the first stack alone.
        self.block("AWS_PROFILE=default\n" + commands)
        within = {"$default"} | {d.replace("/", "_") for d in DATASETS}  # of each one's own API and database
        both = set(first.values()) & set(self.emulator.resources("shop-two").values()) - within
        after = {s["Name"] for s in secrets.list_secrets(MaxResults=100)["SecretList"]}
        if both or self.emulator.resources(STACK) != first or not after >= before | {"shop-two/supersaas/connection"}:
            raise SystemExit(f"ministack: the second stack has {both} of the first, and {after - before}")
        self.clean()
        alarms.prove(self)
        self.block("sam delete --stack-name shop-two --no-prompts --region ap-northeast-1\nAWS_PROFILE=hikyaku-operator")
        print("ministack: a second stack beside the first shares nothing with it")

    def clean(self):
        """Nothing but what an emulator without mail and without composite alarms lets be found."""
        code, self.screen = self.shell.run("hikyaku doctor --json")
        report = json.loads(next(line for line in self.screen.splitlines() if line.startswith("{")))
        found = [f for f in report["findings"] if f["severity"].lower() != "note" and f["id"] not in changes.FINDINGS]
        if found:
            raise SystemExit(f"ministack: doctor finds {json.dumps(found, indent=1, ensure_ascii=False)}")
        if stale := changes.FINDINGS.keys() - {f["id"] for f in report["findings"]}:
            raise SystemExit(f"ministack: changes.py: doctor no longer finds {sorted(stale)}: remove it")

    def states(self):
        """Whether each schedule and the queue's event source are on."""
        ids, scheduler = self.emulator.resources(STACK), self.emulator.client("scheduler")
        found = {n: scheduler.get_schedule(Name=i.split("|")[-1])["State"] for n, i in ids.items()
                 if n in ("TokenRefreshTick", "ReconcileLoopNightly", "ReconcileLoopWanted", "ExportLoopNightly")}
        source = self.emulator.client("lambda").get_event_source_mapping(UUID=ids["WebhookRelayRelayFunctionUsers"])["State"]
        return found | {"queue": source.upper()}

    def member(self, user):
        return next(m for m in self.members() if m["unique_id"] == f"ss-{user}")


class Stay(urllib.request.HTTPRedirectHandler):
    """A browser that shows where it is sent, and does not go there."""

    def redirect_request(self, *_):
        return None


def line(record):
    return json.dumps(record, sort_keys=True, ensure_ascii=False)


# What a person should see of a command of docs/deploy.md.
SAID = [
    (r"^run ", r"^SUCCEEDED$"),
    (r"^hikyaku tokens$", r"^supersaas +static +"),
    (r"^hikyaku mapping log$", r"first mapping"),
    (r"^hikyaku hooks list$", r"execute-api"),
    (r"^hikyaku links list$", r"^Waiting for a decision: 2 pairs"),
    (r"^hikyaku links approve --all", r"^Decided: 2 pairs"),
    (r"^aws logs filter-log-events", r'"message": ?"observed"'),
    (r"^sleep 10$", r"would_create"),
    (r"^hikyaku runs shopline/orders$", r"^complete "),
    (r"^hikyaku verify", r"complete"),
    (r"gunzip", r'^\{"id":'),
]

# What is asked before a provider is.
ASKED = [
    (r"AWS region[^\n]*: $", ""),
    (r"Name that leads[^\n]*: $", ""),
    (r"Time zone of the date folders[^\n]*: $", ""),
    (r"What a member's unique_id[^\n]*: $", ""),
    (r"What stands before it[^\n]*: $", ""),
    (r"Address that is told of alarms[^\n]*: $", "ops@shop.example"),
    (r"Deploy this changeset\? \[y/N\]: $", "y"),
    (r"Is it a Developer Center app[^\n]*: $", "no"),
    (r"End of the token's life[^\n]*: $", ""),
    (r"Authorization code \(empty[^\n]*: $", ""),
    (r"Test keyword for the probe[^\n]*: $", ""),
    (r"Type yes to go on: $", "yes"),
]


# ------------------------------------------------------------- the steps by hand


def nothing(_):
    """Nothing to do here: the emulator has no console, and sends no mail."""


def quirks(job):
    """What アシスト店長's page says of this shop's lists."""
    document = {k: v for k, v in job.emulator.providers["assisttencho"]["connection"].items() if k != "code"}
    path = job.emulator.folder / "connection.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    job.block(f"hikyaku connect assisttencho < {path}")


def mapping(job):
    """Takes the comments away from two lines of the file that 'mapping init' wrote."""
    path = job.shell.folder / "mapping.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\nlogin_id: email\ncolumn01: full_name\ncolumn02: mobile\n", encoding="utf-8")


def look(job):
    """Looks at each pair; they are right."""
    listed = job.screen
    for user in job.before:
        job.block(f"hikyaku links show --user {user}")
    job.screen = listed


def change_user(job):
    job.edit("supersaas", lambda u: u["id"] == job.tested, full_name="検証 花子")
    job.webhook(job.tested)


def test_member(job):
    """Keeps what was exported beside what is held, before the relay writes. Then makes
    the member for tests, of one who is there."""
    records = {p: job.emulator.records(p) for p in ("yappli", "supersaas", "shopline", "assisttencho")}
    job.held = {d: records[d.split("/")[0]][d.split("/")[1]] for d in DATASETS}
    job.read = job.exported()
    job.before[job.tested] = job.held["yappli/users"][2]["id"]
    job.edit("yappli", lambda m: m["id"] == job.before[job.tested], unique_id=f"ss-{job.tested}")


BY_HAND = [nothing, nothing, nothing, quirks, lambda job: None, mapping, look, change_user, test_member]
