"""Makes the runs that scripts/readers.py reads, with the product itself: its
sandboxes serve records made here, and 'hikyaku export' writes the files.
"""

import concurrent.futures
import json
import os
import subprocess
import urllib.request

DATASETS = ["yappli/users", "supersaas/users", "supersaas/appointments", "shopline/customers", "shopline/orders", "assisttencho/orders"]
FEW, LARGE = 3000, 60_000
ROWS = dict.fromkeys(DATASETS, FEW) | {"supersaas/appointments": LARGE, "shopline/orders": LARGE}  # of the large runs
SETTINGS = {"HIKYAKU_EXPORT_PAGE_SIZE": "900", "HIKYAKU_EXPORT_PART_MIB": "4"}
TIME = "2026-11-22T00:30:00Z"


class Stack:
    """A connected sandbox of every provider, and the command line beside it."""

    def __init__(self, hikyaku):
        self.hikyaku = hikyaku
        command = [hikyaku, "sandbox", "--connected", "--idle", "--json", "--rate", "-1", "--records", str(FEW)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.process.stdout.readline())
        self.urls = {s["name"]: s["url"] for s in ready["services"]}
        self.environment = {**os.environ, **ready["env_vars"]["ExportFunction"], **SETTINGS}
        self.run("tokens", "refresh")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def run(self, *arguments):
        done = subprocess.run([self.hikyaku, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"hikyaku {' '.join(arguments)}: {done.stderr}")

    def records(self, provider):
        """What a sandbox holds."""
        with urllib.request.urlopen(self.urls[provider] + "/_sandbox/records") as answer:
            return json.load(answer)

    def hold(self, provider, records):
        """Replaces what a sandbox holds; records may be JSON text."""
        body = records if isinstance(records, str) else json.dumps(records, ensure_ascii=False)
        request = urllib.request.Request(self.urls[provider] + "/_sandbox/records", body.encode(), method="PUT")
        urllib.request.urlopen(request).close()

    def export(self, directory, datasets=DATASETS):
        """Exports into a directory and returns the datasets' folders."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda d: self.run("export", d, "--to", directory, "--at", TIME), datasets))
        return {d: f"{directory}/exports/{d}" for d in datasets}


def appointments():
    """Appointments as the documents show them: which fields one has depends on
    its schedule, and the export reads one schedule after the other."""
    for n in range(LARGE):
        schedule = 555001 if n < LARGE * 2 // 5 else 555002 if n < LARGE * 7 // 10 else 555003
        day, hour = 1 + n % 28, 9 + n % 9
        times = {"start": f"2026-01-{day:02}T{hour:02}:00", "finish": f"2026-01-{day:02}T{hour + 1:02}:00"}
        record = {"id": 90_000_001 + n, "schedule_id": schedule, "schedule_name": "予約", "created_on": "2025-12-01T00:00:00Z"}
        if schedule == 555001:
            record |= times | {"resource_id": 557001, "res_name": "個室A"}
        elif schedule == 555002:
            record |= {"slot_id": 7_700_001 + n // 4, "slot": {"id": 7_700_001 + n // 4, "title": "朝ヨガ", **times}}
        else:
            record |= times | {"service_id": 556001, "service_name": "凝膠指甲"}
        yield record | {"price": [150000, "1500.00", None][n % 3 if n > LARGE // 2 else 0], "deleted": False, "full_name": "見本 花子"}


def orders():
    """Orders whose customer_info and child_products are objects first and
    arrays later, or the other way round."""
    for n in range(LARGE):
        late = n > LARGE // 2
        record = {"id": f"67ec9b71{n:016x}", "order_number": f"2026{n:011}", "customer_info": [{"note": "贈"}, {"tier": 1}][n % 2] if late else {}}
        if late:
            record["customer_info"] = [record["customer_info"]] if n % 3 else record["customer_info"]
            record["ref_order_id"] = n
        children = {"x": [n]} if late and n % 2 else [{"sku": "A", "quantity": 1}] if late else []
        record["subtotal_items"] = [{"id": "1", "child_products": children, "total": {"cents": 1280, "dollars": 12.80}}]
        at = "2026-01-02T02:05:37.000+00:00"
        yield record | {"order_delivery": {"shipped_at": None}, "created_at": at, "updated_at": at, "dt": "of the record", "run": n}


TIME_FIELD = "`\"paid_at\":\"2026-11-22T00:00:00Z\"`"
SURROGATE = "a lone surrogate, `\"\\ud800x\"`"
DEEP = "arrays 5,000 deep"
LONG = "3 MiB in a string"
OWN_DT = "fields named `dt` and `run`"
LATE = "a field that 21,000 records before do not have"
# What readers stumble over: the members of a record, as JSON text, beside an
# ordinary record that comes first.
ODD = {
    "`\"birthday\":\"1990-05-12\"`": ([("birthday", '"1990-05-12"')], [("birthday", '"1991-06-13"')]),
    TIME_FIELD: ([("paid_at", '"2026-11-22T00:00:00Z"')], [("paid_at", '"2026-11-23T00:00:00Z"')]),
    "an object, then an array": ([("odd", '{"a":1}')], [("odd", '[{"a":1}]')]),
    "a number, then a string": ([("odd", "1")], [("odd", '"1-b"')]),
    "2^53 + 1 after a record without the field": ([], [("odd", "9007199254740993")]),
    "an integer of 400 digits": ([("odd", "1")], [("odd", "9" * 400)]),
    "a fraction of 400 digits": ([("odd", "0.5")], [("odd", "0." + "3" * 400)]),
    "`1.10e2`": ([("odd", "0.5")], [("odd", "1.10e2")]),
    "`1e400`": ([("odd", "0.5")], [("odd", "1e400")]),
    SURROGATE: ([("odd", '"x"')], [("odd", '"\\ud800x"')]),
    "U+0000 and U+2028 in a string": ([("odd", '"x"')], [("odd", '"a\\u0000b\u2028c"')]),
    "arrays 200 deep": ([("odd", "[]")], [("odd", "[" * 200 + "]" * 200)]),
    DEEP: ([("odd", "[]")], [("odd", "[" * 5000 + "]" * 5000)]),
    LONG: ([("odd", '"x"')], [("odd", '"' + "x" * (3 << 20) + '"')]),
    "a name twice": ([("odd", "0")], [("odd", "1"), ("odd", "2")]),
    "names that differ in case only": ([("odd", "0")], [("odd", "1"), ("ODD", "2")]),
    "the empty name": ([("odd", "0")], [("odd", "1"), ("", "2")]),
    OWN_DT: ([("odd", "0")], [("dt", '"mine"'), ("run", '"mine"')]),
    LATE: ([], [("odd", '"x"')]),
}


def odd_runs(stack, directory):
    """One run for each entry of ODD: its title, folder and last members."""
    at = '"created_at":"2026-01-02T02:05:37.000+00:00","updated_at":"2026-01-02T02:05:37.000+00:00"'
    for n, (title, (first, last)) in enumerate(ODD.items()):
        records = [first] * (21_000 if title == LATE else 1) + [last]
        customers = ",".join(f'{{"id":"67ec9b71{i:016x}",{at}' + "".join(f',"{n}":{v}' for n, v in r) + "}" for i, r in enumerate(records))
        stack.hold("shopline", f'{{"customers":[{customers}],"orders":[]}}')
        yield title, stack.export(f"{directory}/{n}", ["shopline/customers"])["shopline/customers"], last
