"""Makes every call of SuperSaaS' official Python client against its sandbox, and
reads back what was written. It ends with 1 if a call is refused or answers
something else.

    hikyaku sandbox supersaas --json >SANDBOX &
    python3 scripts/supersaas-client.py SANDBOX

The client writes what it sends to standard output; that is left out. It needs
the package that .ci/run installs for it.
"""

import contextlib
import io
import json
import sys

from SuperSaaS import Client

ROOMS, CLASSES, SERVICES = 555001, 555002, 555003  # schedules by resource, capacity and service
FROM, UNTIL = "2025-01-01 00:00:00", "2031-01-01 00:00:00"

with open(sys.argv[1], encoding="utf-8") as file:
    service = json.load(file)["services"][0]
client = Client.instance()
client.configure(service["connection"]["account"], service["connection"]["api_key"], host=service["url"])
failures = []
calls = 0


def call(name, run, check=lambda answer: True):
    """Runs a call and checks its answer, which it returns."""
    global calls
    calls += 1
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            answer = run()
        if not check(answer):
            failures.append(f"{name}: unexpected answer {answer!r}")
        return answer
    except Exception as e:  # whatever the client raises is a failure of the sandbox
        failures.append(f"{name}: {type(e).__name__} {e}")
        return None


def new_id(answer):
    return int(answer["location"].rsplit("/", 1)[1].removesuffix(".json"))


def rows(answer):
    return isinstance(answer, list) and len(answer) > 0


def users_and_account():
    users = client.users
    call("users.list", lambda: users.list(form=True, limit=3, offset=1), lambda a: len(a) == 3)
    user = new_id(call("users.create", lambda: users.create({"name": "client@mail.example", "full_name": "見本"}, "77fk", True, "raise")))
    call("users.get", lambda: users.get(user, form=True), lambda a: a.full_name == "見本" and a.fk == "77")
    call("users.update", lambda: users.update(user, {"full_name": "見本 二"}, True, "error"))
    call("users.get", lambda: users.get(user), lambda a: a.full_name == "見本 二")
    call("users.field_list", users.field_list, rows)
    call("schedules.list", client.schedules.list, lambda a: [s.id for s in a] == [ROOMS, CLASSES, SERVICES])
    call("schedules.resources", lambda: client.schedules.resources(ROOMS), rows)
    call("schedules.field_list", lambda: client.schedules.field_list(ROOMS), rows)
    call("groups.list", client.groups.list, rows)
    return user


def bookings(user):
    api = client.appointments
    one = new_id(call("appointments.create", lambda: api.create(
        ROOMS, user, {"start": "2030-01-07 09:00:00", "finish": "2030-01-07 10:00:00", "field_1_r": "窓側"}, form=True, webhook=True)))
    call("appointments.get", lambda: api.get(ROOMS, one), lambda a: a.start == "2030-01-07T09:00" and a.field_1_r == "窓側")
    call("appointments.update", lambda: api.update(ROOMS, one, {"start": "2030-01-07 11:00:00", "finish": "2030-01-07 12:00:00"}))
    call("appointments.get", lambda: api.get(ROOMS, one), lambda a: a.start == "2030-01-07T11:00" and a.field_1_r == "窓側")
    call("appointments.list", lambda: api.list(ROOMS, True, "2030-01-01 00:00:00", 3, UNTIL), lambda a: [b.id for b in a] == [one])
    call("appointments.agenda", lambda: api.agenda(ROOMS, user, FROM), lambda a: [b.id for b in a] == [one])
    call("appointments.agenda of slots", lambda: api.agenda(CLASSES, user, FROM, slot=True), lambda a: a == [])
    call("appointments.agenda_slots", lambda: api.agenda_slots(CLASSES, user, FROM), lambda a: a == [])
    call("appointments.available", lambda: api.available(ROOMS, "2030-01-07 09:00:00", 60, "個室A", True, 5), lambda a: len(a) == 5)
    call("appointments.changes", lambda: api.changes(ROOMS, FROM, UNTIL, user=user, limit=5, offset=0), lambda a: [b.id for b in a] == [one])
    call("appointments.changes of slots", lambda: api.changes(CLASSES, FROM, slot=True, limit=2), lambda a: len(a) == 2 and rows(a[0].bookings))
    call("appointments.changes_slots", lambda: api.changes_slots(CLASSES, FROM), rows)
    call("appointments.range", lambda: api.range(ROOMS, from_time=FROM, to=UNTIL, user=user, resource_id=557001 + one % 2), lambda a: [b.id for b in a] == [one])
    call("appointments.range of today", lambda: api.range(ROOMS, today=True), lambda a: a == [])
    call("appointments.range of slots", lambda: api.range(CLASSES, slot=True, limit=2), lambda a: len(a) == 2 and rows(a[0].bookings))
    call("appointments.range of a service", lambda: api.range(SERVICES, service_id=556001, limit=2), lambda a: len(a) == 2)
    call("appointments.delete", lambda: api.delete(ROOMS, one, True))
    call("appointments.list", lambda: api.list(ROOMS, start_time="2030-01-01 00:00:00"), lambda a: a == [])


def forms_and_promotions():
    forms = call("forms.list", lambda: client.forms.list(660001, FROM, limit=3, offset=1), lambda a: len(a) == 3)
    call("forms.get", lambda: client.forms.get(forms[0].id), lambda a: a.id == forms[0].id)
    call("forms.forms", client.forms.forms, rows)
    call("promotions.list", lambda: client.promotions.list(5, 0), rows)
    call("promotions.duplicate", lambda: client.promotions.duplicate_promotion_code("NEW1", "WELCOME10"))
    call("promotions.promotion", lambda: client.promotions.promotion("NEW1"), lambda a: a[0].code == "NEW1")


user = users_and_account()
bookings(user)
forms_and_promotions()
call("users.delete", lambda: client.users.delete(user, True))
# The client's limiter, for a while: not one call may be refused.
for _ in range(40):
    call("groups.list", client.groups.list, rows)
for failure in failures:
    print("supersaas-client:", failure, file=sys.stderr)
print(f"supersaas-client: {calls - len(failures)} of {calls} calls")
sys.exit(1 if failures else 0)
