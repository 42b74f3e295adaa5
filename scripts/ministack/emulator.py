"""ministack, the sandboxes of the providers, and a clone of this checkout whose template
is changed for ministack. Everything listens on 127.0.0.1 and ends with the process."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from samtranslator.yaml_helper import yaml_parse

import changes

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "hikyaku-ci"
REGION = changes.SETTINGS["MINISTACK_REGION"]
LONGEST = 1800  # seconds that a server of ours may run


def log(text, *values):
    print(text % values if values else text, flush=True)


def wait(what, ready, seconds=60, pause=0.2):
    """Waits until ready returns something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(pause)
    raise SystemExit(f"ministack: {what}: not within {seconds} seconds")


class Emulator:
    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
        self.log = folder / "ministack.log"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.certify()
        self.env = {
            "PATH": os.pathsep.join([str(folder / "bin"), str(CACHE / "venv-sam/bin"), str(CACHE / "venv-moto/bin"), os.environ["PATH"]]),
            "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "dumb", "GOBIN": str(folder / "bin"),
            "GOCACHE": subprocess.check_output(["go", "env", "GOCACHE"], text=True).strip(),
            "GOMODCACHE": subprocess.check_output(["go", "env", "GOMODCACHE"], text=True).strip(),
            "GOPROXY": os.environ.get("GOPROXY", ""), "GOARCH": changes.GOARCH, "SAM_CLI_TELEMETRY": "0",
            "AWS_ENDPOINT_URL": self.url, "AWS_CA_BUNDLE": str(self.certificate), "SSL_CERT_FILE": str(self.certificate),
            "AWS_ENDPOINT_URL_STS": self.url,  # the Go SDK takes a role before it looks at the other
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "NO_PROXY": "127.0.0.1",
        }
        self.env = {k: v for k, v in self.env.items() if v or k == "AWS_PAGER"}
        aws = self.home / ".aws"
        aws.mkdir()
        # The account's administrator: invented, and ministack's root.
        (aws / "credentials").write_text("[default]\naws_access_key_id = administrator\naws_secret_access_key = invented\n")
        (aws / "config").write_text(f"[default]\nregion = {REGION}\n")

    def certify(self):
        self.certificate, key = self.folder / "tls.crt", self.folder / "tls.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-keyout", key, "-out", self.certificate, "-subj", "/CN=ministack", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, capture_output=True)

    def start(self):
        """Starts ministack."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.folder), **changes.SETTINGS,
               "GATEWAY_PORT": str(self.port), "AWS_ENDPOINT_URL": self.url, "AWS_ACCESS_KEY_ID": "administrator",
               "AWS_SECRET_ACCESS_KEY": "invented", "MINISTACK_ACCOUNT_ID": "123456789012", "SSL_CERT_FILE": str(self.certificate),
               "MINISTACK_SSL_CERT": str(self.certificate), "MINISTACK_SSL_KEY": str(self.folder / "tls.key")}
        with self.log.open("wb") as out:
            self.spawn([CACHE / "venv-ministack/bin/python", pathlib.Path(__file__).parent / "launch.py"], env, out)
        wait("its start", self.answers)

    def spawn(self, command, env, out):
        p = subprocess.Popen(["timeout", str(LONGEST), *command], env=env, stdout=out, stderr=subprocess.STDOUT, cwd=self.folder)
        self.processes.append(p)
        return p

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        for p in reversed(self.processes):
            p.terminate()
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
            try:  # functions that a server left behind; timeout leads their group
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def client(self, service, key="administrator", secret="invented"):
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, verify=str(self.certificate),
                            aws_access_key_id=key, aws_secret_access_key=secret,
                            config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}))

    # ------------------------------------------------------------------ stacks

    def create_stack(self, name, template):
        """Creates a stack of a probe, and returns why it failed, if it did."""
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        wait(name, lambda: not self.status(name).endswith("IN_PROGRESS"), pause=0.1)
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [cloudformation.describe_stacks(StackName=name)["Stacks"][0].get("StackStatusReason", "")]
        return " ".join(reasons + [e.get("ResourceStatusReason", "") for e in events if "FAILED" in e["ResourceStatus"]])

    def delete_stack(self, name):
        self.client("cloudformation").delete_stack(StackName=name)
        wait(f"the end of {name}", lambda: self.status(name) in ("", "DELETE_COMPLETE"), pause=0.1)

    def status(self, name):
        try:
            return self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        except ClientError:
            return ""

    def outputs(self, name):
        stack = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}

    def resources(self, name):
        """The physical ids of a stack's resources."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for p in pages for r in p["StackResourceSummaries"]}

    def denied(self):
        """What functions and commands were denied, as the log lines and ministack say it."""
        found = [line for line in self.log.read_text(errors="replace").splitlines() if re.search(r"AccessDenied|not authorized", line)]
        logs = self.client("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                found += [e["message"] for e in page["events"] if re.search(r"AccessDenied|access denied", e["message"])]
        return found

    # --------------------------------------------------------------- providers

    def serve(self, hikyaku, records):
        """Starts the sandboxes, and keeps what they print."""
        out = self.folder / "sandboxes.json"
        with out.open("wb") as file:
            self.spawn([hikyaku, "sandbox", "yappli", "supersaas", "shopline", "assisttencho", "actibook",
                        "--records", str(records), "--rate", "100", "--json"], {"PATH": os.environ["PATH"], "HOME": str(self.home)}, file)
        line = wait("the sandboxes", lambda: out.read_text())
        self.providers = {s["name"]: s for s in json.loads(line)["services"]}
        self.sandboxes = {name: s["url"] for name, s in self.providers.items()}

    def records(self, provider):
        with urllib.request.urlopen(self.sandboxes[provider] + "/_sandbox/records", timeout=10) as answer:
            return json.load(answer)

    def put_records(self, provider, records):
        """Replaces a sandbox's records. A lone surrogate is a byte that is no UTF-8."""
        body = json.dumps(records, ensure_ascii=False).encode(errors="surrogateescape")
        request = urllib.request.Request(self.sandboxes[provider] + "/_sandbox/records", method="PUT", data=body)
        urllib.request.urlopen(request, timeout=10).close()


def clone(folder, commit=None):
    """Clones this checkout as it is, or a commit of it, and changes its template."""
    folder.mkdir(parents=True)
    if commit:
        archive = subprocess.Popen(["git", "-C", ROOT, "archive", commit], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", folder], stdin=archive.stdout, check=True)
        if archive.wait():
            raise SystemExit(f"ministack: no commit {commit}")
    else:
        files = subprocess.check_output(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split(b"\0")
        present = b"\0".join(f for f in files if f and (ROOT / os.fsdecode(f)).is_file())
        archive = subprocess.run(["tar", "-c", "-C", ROOT, "--null", "-T", "-"], input=present, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    for path in folder.glob("policies/*.json"):
        path.write_text(json.dumps(changes.change_policy(json.loads(path.read_text())), indent=2))
    path = folder / "template.yaml"
    template = changes.change(yaml_parse(path.read_text(encoding="utf-8")))
    path.write_text(json.dumps(template, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder
