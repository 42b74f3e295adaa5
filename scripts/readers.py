"""Runs the examples of docs/export-format.md over what the demo exported.

    go run ./cmd/hikyaku demo --dir DIR && python3 scripts/readers.py DIR

It needs the packages duckdb and pandas.
"""

import glob
import json
import re
import sys

import duckdb

text = open("docs/export-format.md", encoding="utf-8").read()
sql = re.search(r"```sql\n(.*?)```", text, re.S).group(1)
python = re.search(r"```python\n(.*?)```", text, re.S).group(1)
folders = sorted(glob.glob(sys.argv[1] + "/objects/*/*/exports/*/*"))
if len(folders) != 6:
    sys.exit(f"{len(folders)} datasets in {sys.argv[1]}; six are expected")
for folder in folders:
    with open(folder + "/latest.json", encoding="utf-8") as latest:
        want = json.load(latest)["data"]["rows"]
    *settings, query = [s for s in sql.replace("FOLDER", folder).split(";") if s.strip()]
    database = duckdb.connect()
    for s in settings:
        database.execute(s)
    in_duckdb = len(database.execute(query).fetchall())
    scope = {}
    exec(python.replace("FOLDER", folder), scope)  # the example of our own page
    in_pandas = len(scope["rows"])
    name = "/".join(folder.split("/")[-2:])
    print(f"{name:23} {want:4} rows, {in_duckdb} in DuckDB, {in_pandas} in pandas")
    if not want == in_duckdb == in_pandas or want == 0:
        sys.exit("they are not the same")
