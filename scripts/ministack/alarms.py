"""Causes what an alarm tells of, hands what the functions logged of it to ministack as
CloudWatch would, and looks at which alarms go to ALARM within a minute.

ministack evaluates an alarm when a metric is put, over one window of period times
periods that ends then. So it sees within a minute what is counted as soon as it happens.
Each window has 5 minutes or more, and it does not see that nothing came (changes.py,
EVALUATION), so no alarm goes back to OK within the minute: the tests in virtual time
(docs/proof.md) show that of each."""
import copy
import json
import operator
import time
import urllib.error

from emulator import wait

STACK, OTHER = "hikyaku", "shop-two"
STATISTICS = {"Sum": sum, "Maximum": max, "Minimum": min}
BREACHES = {"GreaterThanThreshold": operator.gt, "GreaterThanOrEqualToThreshold": operator.ge, "LessThanThreshold": operator.lt}


class Alarms:
    def __init__(self, job):
        self.job, self.emulator = job, job.emulator
        self.cloudwatch, self.logs = (self.emulator.client(s) for s in ("cloudwatch", "logs"))
        self.since = int(time.time() * 1000)
        self.read = set()  # the lines that were taken
        self.put = {}  # values by name and dimensions
        self.names = {physical: (stack, logical) for stack in (STACK, OTHER) for logical, physical in self.emulator.resources(stack).items()}

    def take(self):
        """Puts each metric of the lines that both stacks have logged since."""
        data = []
        for line in self.lines():
            for directive in line["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    for metric in directive["Metrics"]:
                        dimensions = {n: line[n] for n in names}
                        self.put.setdefault(key(metric["Name"], dimensions), []).append(line[metric["Name"]])
                        data.append({"MetricName": metric["Name"], "Unit": metric["Unit"], "Value": line[metric["Name"]],
                                     "Timestamp": line["_aws"]["Timestamp"] / 1000, "Dimensions": [{"Name": n, "Value": v} for n, v in dimensions.items()]})
        if data:
            self.cloudwatch.put_metric_data(Namespace="Hikyaku", MetricData=data)

    def lines(self):
        for stack in (STACK, OTHER):
            for group in self.logs.describe_log_groups(logGroupNamePrefix=f"/hikyaku/{stack}/")["logGroups"]:
                for page in self.logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"], startTime=self.since):
                    for event in page["events"]:
                        line = event["logStreamName"], event["message"]
                        if line not in self.read and '"_aws"' in event["message"]:
                            self.read.add(line)
                            yield json.loads(event["message"])

    def alarms(self):
        """The alarms of both stacks on the functions' own metrics."""
        for page in self.cloudwatch.get_paginator("describe_alarms").paginate():
            for alarm in page["MetricAlarms"]:
                if alarm["AlarmName"] in self.names and alarm["Namespace"] == "Hikyaku":
                    yield self.names[alarm["AlarmName"]], alarm

    def breached(self):
        """The alarms whose own metric, by its dimensions, breaches. All values are of the
        last minute, and so within each window."""
        found = set()
        for name, alarm in self.alarms():
            values = self.put.get(key(alarm["MetricName"], {d["Name"]: d["Value"] for d in alarm["Dimensions"]}))
            if values and BREACHES[alarm["ComparisonOperator"]](STATISTICS.get(alarm.get("Statistic"), max)(values), alarm["Threshold"]):
                found.add(name)
        return found

    def ringing(self):
        return {name for name, alarm in self.alarms() if alarm["StateValue"] == "ALARM"}

    def rings(self, cause, *logical):
        """A cause leads to its alarms, and to no other of either stack."""
        began, before, want = time.monotonic(), self.breached(), {(STACK, name) for name in logical}
        if early := want & self.ringing():
            raise SystemExit(f"ministack: {sorted(early)} ring before their cause")
        cause()
        if (more := wait(f"what rings {logical}", lambda: self.take() or self.breached() - before)) != want:
            raise SystemExit(f"ministack: the cause of {logical} breaches {sorted(more)}")
        if silent := want - self.ringing():
            raise SystemExit(f"ministack: {sorted(silent)} do not ring")
        if (took := time.monotonic() - began) > 60:
            raise SystemExit(f"ministack: {logical} rang after {took:.0f} s")

    def quiet(self):
        """Ends what rings, so that doctor finds the stack as it was before."""
        for page in self.cloudwatch.get_paginator("describe_alarms").paginate(StateValue="ALARM"):
            for alarm in page["MetricAlarms"]:
                self.cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="the cause has ended")

    # ------------------------------------------------------------------ causes

    def refresh(self, code):
        ended, screen = self.job.shell.run(f"hikyaku tokens refresh yappli --force --remote --stack {STACK}")
        if ended != code:
            raise SystemExit(f"ministack: tokens refresh ended with {ended} instead of {code}:\n{screen}")

    def well(self):
        """What works rings nothing."""
        self.refresh(0)
        self.job.webhook(self.job.tested)
        wait("lines of what works", lambda: self.take() or {"RefreshOutcome", "WebhookAccepted"} <= {metric for metric, _ in self.put})
        if breached := self.breached():
            raise SystemExit(f"ministack: nothing happened, and yet there breach {sorted(breached)}")

    def wrong_secret(self):
        for _ in range(3):
            try:
                self.job.webhook(self.job.tested, secret="wrong")
            except urllib.error.HTTPError as e:
                if e.code == 401:
                    continue
            raise SystemExit("ministack: a webhook with a wrong secret was not refused")

    def refused(self):
        """The provider refuses the client until the right secret is back."""
        secrets, name = self.emulator.client("secretsmanager"), f"{STACK}/yappli/connection"
        right = secrets.get_secret_value(SecretId=name)["SecretString"]
        secrets.put_secret_value(SecretId=name, SecretString=json.dumps(json.loads(right) | {"client_secrets": ["wrong"]}))
        self.refresh(1)
        secrets.put_secret_value(SecretId=name, SecretString=right)

    def doubtful(self):
        """Two of the customers that changed come in another character set: more than 5 %."""
        records = self.emulator.records("shopline")
        spoiled = copy.deepcopy(records)
        for i, customer in enumerate(spoiled["customers"][:4]):
            customer["updated_at"] = time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime(time.time() - 60))
            customer["name"] += "\udce9" if i < 2 else ""
        self.emulator.put_records("shopline", spoiled)
        self.export("FAILED")
        self.emulator.put_records("shopline", records)

    def export(self, ends):
        time.sleep(1)  # the second names the run: in the same one it would be the run before
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if (status := self.job.ended(self.job.start("ExportLoopArn", {"datasets": ["shopline/customers"], "scheduled_time": at}))) != ends:
            raise SystemExit(f"ministack: the export ended {status}")


def key(metric, dimensions):
    return metric, tuple(sorted(dimensions.items()))


def prove(job):
    """While both stacks stand."""
    began, alarms = time.monotonic(), Alarms(job)
    alarms.well()
    alarms.rings(alarms.wrong_secret, "WrongSecretAlarm")
    alarms.rings(alarms.refused, "RefreshNeedsHumanAlarm")
    alarms.refresh(0)
    alarms.rings(alarms.doubtful, "ExportDoubtAlarm", "ExportRejectsAlarm")
    alarms.export("SUCCEEDED")
    alarms.quiet()
    print(f"ministack: 4 alarms ring by their causes alone, none of the other stack ({time.monotonic() - began:.0f} s)")
