"""Runs the recipes of docs/export-format.md, as they stand there, and compares
every value that they read with what lies in the parts.

    go build -o HIKYAKU ./cmd/hikyaku && HIKYAKU demo --dir DIR
    python3 scripts/readers.py DIR HIKYAKU

DIR is a demo's; HIKYAKU makes further runs: empty ones, large ones, and some of
odd records, by which the tables of what readers cannot do are checked. With
--tables these are printed instead of compared. It needs the packages that
.ci/run installs for it.
"""

import datetime
import decimal
import glob
import gzip
import json
import math
import os
import re
import sys
import tempfile
import time

import duckdb
import pandas
import polars
import pyarrow.json

import readerruns

PAGE = open("docs/export-format.md", encoding="utf-8").read()


def recipe(title, language):
    """The code under a heading of the page."""
    section = re.search(rf"^### {title}\n(.*?)(?=^##)", PAGE, re.S | re.M).group(1)
    return re.search(rf"```{language}\n(.*?)```", section, re.S).group(1)


# Each recipe returns the columns and the rows, as tuples.


def with_duckdb(folder):
    database = duckdb.connect()
    for statement in recipe("DuckDB", "sql").replace("FOLDER", folder).split(";"):
        if statement.strip():
            result = database.execute(statement)
    return [c[0] for c in result.description], result.fetchall()


def in_python(title):
    def read(folder):
        scope = {}
        exec(recipe(title, "python").replace("FOLDER", folder), scope)  # of our own page
        return scope["rows"]

    return read


def with_pandas(folder):
    rows = in_python("pandas")(folder)
    return list(rows.columns), list(rows.itertuples(index=False, name=None))


def with_polars(folder):
    rows = in_python("polars")(folder)
    return rows.columns, rows.rows()


def with_pyarrow(folder):
    rows = in_python("pyarrow")(folder)
    return rows.column_names, list(zip(*(c.to_pylist() for c in rows.columns))) if rows.num_columns else []


RECIPES = {"DuckDB": with_duckdb, "pandas": with_pandas, "polars": with_polars, "pyarrow": with_pyarrow}


def lines_of(folder):
    """The lines of the newest run, by its manifest."""
    with open(folder + "/latest.json", encoding="utf-8") as file:
        newest = json.load(file)["data"]["manifest"]
    with open(folder + newest[newest.index("/dt=") :], encoding="utf-8") as file:
        manifest = json.load(file)
    lines = []
    for part in manifest["parts"]:
        with gzip.open(folder + part["key"][part["key"].index("/dt=") :], "rt", encoding="utf-8", newline="\n") as file:
            lines += file.read().removesuffix("\n").split("\n")
    if len(lines) != manifest["rows"]:
        sys.exit(f"{folder}: {len(lines)} lines, {manifest['rows']} rows in the manifest")
    return lines


def plain(value):
    """A value's text by which two are the same, in whatever form they came."""
    return json.dumps(value, sort_keys=True)


ABSENT = object()


def same_text(found, want):
    """Whether a cell of text is the record's value, whose fractions are floats."""
    if want is ABSENT or want is None or isinstance(want, str):
        return found == (None if want is ABSENT else want)
    return isinstance(found, str) and (found == json.dumps(want, ensure_ascii=False) or plain(json.loads(found)) == plain(want))


def same_object(found, want):
    """Whether a cell of pandas is the record's value, whose fractions are decimals."""
    if want is ABSENT:
        return isinstance(found, float) and math.isnan(found)
    return type(found) is type(want) and found == want


def compare(name, folder, lines):
    """Fails if a recipe loses or changes anything of the records."""
    columns, rows = RECIPES[name](folder)
    exact = name == "pandas"
    same = same_object if exact else same_text
    records = [json.loads(line, parse_float=decimal.Decimal if exact else None) for line in lines]
    names = {n for r in records for n in r} or ({"id"} if name == "DuckDB" else set())
    if set(columns) != names or len(rows) != len(records):
        sys.exit(f"{folder} in {name}: {len(rows)} rows of {sorted(columns)}; {len(records)} of {sorted(names)} are there")
    for row, record in zip(rows, records):
        for column, found in zip(columns, row):
            want = record.get(column, ABSENT)
            if not same(found, want):
                sys.exit(f"{folder} in {name}: {column} of {record.get('id')} is {found!r}; it was {want!r}")


# The functions that Athena's query uses, by their documents: a scalar of JSON
# is its text, and NULL of an object or array.
ATHENA = """
CREATE MACRO json_extract_scalar(line, path) AS
    CASE WHEN json_type(line, path) NOT IN ('OBJECT', 'ARRAY') THEN line ->> path END;
CREATE MACRO json_format(value) AS CAST(value AS VARCHAR);
CREATE SCHEMA tables;
"""


def athena(dataset, symlink, objects, records):
    """Runs Athena's query over the parts that symlink.txt names."""
    table = dataset.replace("/", "_")
    template = open("template.yaml", encoding="utf-8").read()
    glue = re.search(rf"Name: {table}\n.*?(?=\n  [A-Z]|\Z)", template, re.S).group(0)
    for stated in (
        f'storage.location.template: !Sub "s3://${{Bucket}}/${{Prefix}}/athena/{dataset}/dt=${{!dt}}"',
        "PartitionKeys: [{Name: dt, Type: string}]",
        "Columns: [{Name: line, Type: string}]",
        "InputFormat: org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
        "SerdeInfo: {SerializationLibrary: org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe}",
    ):
        if stated not in glue:
            sys.exit(f"template.yaml: the table of {dataset} does not state {stated}")
    day = re.search("dt=([0-9-]+)", symlink).group(1)
    parts = [objects + line.strip().removeprefix("s3:/") for line in open(symlink, encoding="utf-8")]
    database = duckdb.connect()
    database.execute(ATHENA)
    database.execute("CREATE TABLE lines (line VARCHAR, dt VARCHAR)")
    for part in parts:
        with gzip.open(part, "rt", encoding="utf-8", newline="\n") as file:
            database.executemany("INSERT INTO lines VALUES (?, ?)", [(line.rstrip("\n"), day) for line in file])
    database.execute(f"CREATE VIEW tables.{table} AS SELECT * FROM lines")
    query = recipe("Athena", "sql").replace("DATABASE.TABLE", "tables." + table).replace("DAY", day)
    for name in {n for r in records for n in r}:
        rows = database.execute(query.replace("FIELD", name)).fetchall()
        for (text, value), record in zip(rows, records, strict=True):
            want = record.get(name)
            scalar = None if want is None or isinstance(want, dict | list) else want if isinstance(want, str) else json.dumps(want)
            if (None if value is None else plain(json.loads(value))) != (None if name not in record else plain(want)) or text != scalar:
                sys.exit(f"{dataset} by Athena's query: {name} of {record.get('id')} is {text!r}, {value!r}; it was {want!r}")


def athena_days():
    """Runs the queries of several days over three runs of two of them: record 1
    changes in each run, 2 in the first, 3 in none but the last."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    before = today - datetime.timedelta(days=1)

    def order(number, name, cents):
        money = {"cents": cents, "currency_iso": "TWD"}
        return json.dumps({"id": str(number), "name": name, "created_at": "2026-11-20T01:00:00Z", "status": "confirmed", "total": money})

    runs = [
        (before, "20261120T170000Z", [order(1, "first", 100), order(2, "only", 200)]),
        (today, "20261121T170000Z_20261101T000000Z_20261102T000000Z", [order(1, "third", 120)]),
        (today, "20261121T170000Z", [order(1, "second", 110), order(3, "last", 300)]),
    ]
    database = duckdb.connect()
    database.execute(ATHENA + "CREATE MACRO date_format(day, form) AS strftime(day, form);")
    database.execute('CREATE TABLE tables.shopline_orders (line VARCHAR, dt VARCHAR, "$path" VARCHAR)')
    for day, run, lines in runs:
        path = f"s3://bucket/hikyaku/exports/shopline/orders/dt={day}/run={run}/part-00000.jsonl.gz"
        database.executemany("INSERT INTO tables.shopline_orders VALUES (?, ?, ?)", [(line, str(day), path) for line in lines])

    def rows(query):
        for name, value in (("DATABASE.TABLE", "tables.shopline_orders"), ("DATABASE", "tables"), ("DAY'", f"{before}'"), ("FIELD", "name")):
            query = query.replace(name, value)
        return sorted(database.execute(query).fetchall())

    once, sold = re.findall(r"```sql\n(.*?)```", re.search(r"^### Athena: one row a record\n(.*?)(?=^##)", PAGE, re.S | re.M).group(1), re.S)
    for query, want in (
        (recipe("Athena: the latest day", "sql"), [("last",), ("second",), ("third",)]),
        (once, [("1", "third"), ("2", "only"), ("3", "last")]),
        (sold, [("2026-11-20", "TWD", 3, 620)]),
    ):
        if (found := rows(query)) != want:
            sys.exit(f"Athena's query of several days gives {found}, not {want}:\n{query}")


# The readers' own JSON readers, with the options that help; each gives the last
# record.
OWN = {
    "DuckDB": lambda part: last_row(f"read_json('{part}', sample_size = -1, hive_partitioning = false)"),
    "pandas": lambda part: pandas.read_json(part, lines=True, dtype=False).iloc[-1].to_dict(),
    "polars": lambda part: polars.read_ndjson(part, infer_schema_length=None)[-1].to_dicts()[0],
    "pyarrow": lambda part: last_of(pyarrow.json.read_json(part, pyarrow.json.ReadOptions(block_size=64 << 20))),
}
# And without: a line of the table, the reader, and what the page says of it.
BARE = [
    (readerruns.LATE, "fails", lambda part: last_row(f"read_json('{part}')")),
    (readerruns.LATE, "dropped", lambda part: polars.read_ndjson(part)[-1].to_dicts()[0]),
    (readerruns.OWN_DT, "changed", lambda part: last_row(f"read_json('{part}', sample_size = -1)")),
    (readerruns.LONG, "fails", lambda part: last_of(pyarrow.json.read_json(part))),
    (readerruns.TIME_FIELD, "converted", lambda part: pandas.read_json(part, lines=True).iloc[-1].to_dict()),
]


def last_of(table):
    return table[-1:].to_pylist()[0]


def last_row(source):
    result = duckdb.connect().execute(f"SELECT * FROM {source}")
    return dict(zip([c[0] for c in result.description], result.fetchall()[-1]))


def unreadable(folder):
    """How many lines DuckDB shows as those that it cannot parse."""
    database = duckdb.connect()
    for statement in recipe("DuckDB", "sql").replace("FOLDER", folder).split(";")[:3]:
        database.execute(statement)
    (query,) = re.findall(r"`(SELECT line [^`]*json_valid[^`]*)`", PAGE)
    return len(database.execute(query).fetchall())


def last_by_recipe(name, folder):
    columns, rows = RECIPES[name](folder)
    return dict(zip(columns, rows[-1]))


def outcome(read, members):
    """One word on what becomes of a record's members, which are JSON text."""
    try:
        found = read()
    except Exception:  # whatever a reader fails with
        return "fails"
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # for what is compared here; a recipe has to do without
    texts = {}
    for name, text in members:
        texts.setdefault(name, []).append(text)
    words = [word(found.get(name), texts[name]) for name in texts]
    sys.setrecursionlimit(limit)
    return min(words, key=["dropped", "changed", "converted", "as JSON", "first", "last", "kept"].index)


def word(found, texts):
    if found is None or isinstance(found, float) and math.isnan(found):
        return "dropped"
    values = [json.loads(text, parse_float=decimal.Decimal) for text in texts]
    which = [n for n, value in enumerate(values) if equal(found, value)]
    if len(values) > 1:
        return {(0,): "first", (1,): "last"}.get(tuple(which), "changed")
    if isinstance(values[0], str) and not isinstance(found, str):
        return "converted"
    return "kept" if which else "as JSON" if found == texts[0] else "changed"


def equal(found, value):
    """Whether a value, or its JSON text, is the one that was sent."""
    if isinstance(found, str) and not isinstance(value, str):
        found = json.loads(found, parse_float=decimal.Decimal)
    if isinstance(found, float) and isinstance(value, decimal.Decimal | int):
        return math.isfinite(found) and decimal.Decimal(repr(found)) == value
    return found == value


def tables(stack, directory):
    """The rows of the page's two tables, as they must be, and those that it leaves
    out, of what everyone keeps."""
    recipes, own = {}, {}
    for title, folder, members in readerruns.odd_runs(stack, directory):
        (part,) = glob.glob(folder + "/dt=*/run=*/part-*.jsonl.gz")
        recipes[title] = [outcome(lambda: last_by_recipe(name, folder), members) for name in RECIPES]
        own[title] = [outcome(lambda: OWN[name](part), members) for name in RECIPES]
        if title == readerruns.SURROGATE and unreadable(folder) != 1:
            sys.exit("DuckDB does not show the line that it cannot parse")
        for _, stated, read in (b for b in BARE if b[0] == title):
            if (seen := outcome(lambda: read(part), members)) != stated:
                sys.exit(f"without options: {title} is {seen}; the page says {stated}")
    return recipes, own


def check_tables(stack, directory):
    for head, rows in zip(("recipes", "own JSON readers"), tables(stack, directory)):
        lines = [f"| {title} | {' | '.join(words)} |" for title, words in rows.items() if set(words) != {"kept"}]
        if "--tables" in sys.argv:
            print(f"| {head} |", *lines, sep="\n")
            continue
        stated = re.search(rf"^\| {head} \|.*?\n\n", PAGE, re.S | re.M).group(0).splitlines()[2:-1]
        if sys.version_info >= (3, 13):  # its JSON reader goes deeper than the page's table says
            lines, stated = ([line for line in of if readerruns.DEEP not in line] for of in (lines, stated))
        if lines != stated:
            sys.exit("\n".join(["docs/export-format.md is not what is seen:", *lines]))
        print(f"{head}: {len(rows)} odd records become what the page says")


def folders_of_demo(directory):
    return {"/".join(f.split("/")[-2:]): f for f in glob.glob(directory + "/objects/*/*/exports/*/*")}


def read_all(title, folders, right):
    """Compares every recipe over a set of runs. right tells whether a dataset
    has the number of rows that the runs were made with."""
    for dataset, folder in sorted(folders.items()):
        lines = lines_of(folder)
        if not right(dataset, len(lines)):
            sys.exit(f"{folder}: {len(lines)} rows; that is not what was made")
        took = []
        for name in RECIPES:
            began = time.monotonic()
            compare(name, folder, lines)
            took.append(f"{name} {time.monotonic() - began:.1f} s")
        print(f"{title:5} {dataset:23} {len(lines):6} rows the same in {', '.join(took)}", flush=True)


def make_runs(stack, directory):
    """The large runs, then the empty ones."""
    bookings, shop = stack.records("supersaas"), stack.records("shopline")
    stack.hold("supersaas", bookings | {"appointments": list(readerruns.appointments())})
    stack.hold("shopline", shop | {"orders": list(readerruns.orders())})
    large = stack.export(directory + "/large")
    for provider in {d.split("/")[0] for d in readerruns.DATASETS}:
        held = stack.records(provider)
        stack.hold(provider, {n: [] for n, v in held.items() if isinstance(v, list)})
    return large, stack.export(directory + "/empty")


def main():
    directory, hikyaku = sys.argv[1:3]
    demo = folders_of_demo(directory)
    if sorted(demo) != sorted(readerruns.DATASETS):
        sys.exit(f"{sorted(demo)} in {directory}; expected are {readerruns.DATASETS}")
    read_all("demo", demo, lambda _, rows: rows >= 100)
    for dataset, folder in demo.items():
        (symlink,) = glob.glob(folder.replace("/exports/", "/athena/") + "/dt=*/symlink.txt")
        athena(dataset, symlink, directory + "/objects", [json.loads(line) for line in lines_of(folder)])
    print("Athena's query gives every field of the six datasets")
    athena_days()
    print("Athena's queries of several days give each record once")
    with tempfile.TemporaryDirectory() as runs, readerruns.Stack(os.path.abspath(hikyaku)) as stack:
        large, empty = make_runs(stack, runs)
        read_all("large", large, lambda dataset, rows: rows == readerruns.ROWS[dataset])
        read_all("empty", empty, lambda _, rows: rows == 0)
        check_tables(stack, runs)


if __name__ == "__main__":
    main()
