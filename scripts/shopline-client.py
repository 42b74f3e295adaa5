"""Makes every call that docs/providers/shopline.md and pkg/providers/shopline name
by a third party's SHOPLINE SDK, whose types come from SHOPLINE's OpenAPI documents,
against the sandbox. It ends with 1 if a call is refused or answers something else.

    hikyaku sandbox shopline --json >SANDBOX &
    python3 scripts/shopline-client.py SANDBOX

It needs the package that .ci/run installs for it.
"""

import asyncio
import json
import sys

from shopline_sdk.apis.customers import get_customer, get_customers, get_line_customer, search_customers
from shopline_sdk.apis.orders import create_archived_orders_report, get_order, get_orders, search_orders
from shopline_sdk.apis.tokens import get_token_info
from shopline_sdk.client import ShoplineAPIClient
from shopline_sdk.exceptions import ShoplineAPIError

PAUSE = 0.3  # seconds after each call: the SDK does not keep SHOPLINE's rate itself
LONG_AGO, TOMORROW = "2001-01-01T00:00:00Z", "2035-01-01T00:00:00Z"
failures = []
calls = 0


async def call(name, answer, check=lambda answer: True):
    """Makes a call and checks its answer, which it returns."""
    global calls
    calls += 1
    try:
        answer = await answer
        await asyncio.sleep(PAUSE)
        if not check(answer):
            failures.append(f"{name}: unexpected answer {answer!r}"[:400])
        return answer
    except Exception as e:  # whatever the SDK raises is a failure of the sandbox
        failures.append(f"{name}: {type(e).__name__} {getattr(e, 'status_code', '')} {e}"[:400])
        return None


async def refused(name, answer, status):
    """Makes a call that must be refused in SHOPLINE's documented form."""
    global calls
    calls += 1
    try:
        failures.append(f"{name}: was not refused: {await answer!r}"[:400])
    except ShoplineAPIError as e:
        await asyncio.sleep(PAUSE)
        if e.status_code != status or not getattr(e.error, "message", None):
            failures.append(f"{name}: {e.status_code} {e.error!r}, want {status} with a message"[:400])
    except Exception as e:
        failures.append(f"{name}: {type(e).__name__} {e}"[:400])


async def whole(name, api, session, **more):
    """Reads a list by its cursor, and by its pages: both must hold the same records."""
    by_cursor, previous = [], None
    while True:
        page = await call(name, api.call(session, api.Params(per_page=40, previous_id=previous, **more)), lambda a: a.items is not None)
        if not page or not page.items:
            break
        by_cursor += [r.id for r in page.items]
        previous = page.items[-1].id
    by_page, number = [], 1
    while True:
        page = await call(name + " by page", api.call(session, api.Params(per_page=40, page=number, **more)), lambda a: a.pagination is not None)
        if not page or not page.items:
            break
        by_page += [r.id for r in page.items]
        number += 1
    if not by_cursor or by_cursor != by_page or len(set(by_page)) != len(by_page):
        failures.append(f"{name}: {len(by_cursor)} records by cursor, {len(by_page)} by page")
    return by_cursor


async def customers(session):
    ids = await whole("get_customers", get_customers, session, sort_by="asc")
    await whole("get_customers of a time", get_customers, session, updated_after=LONG_AGO, created_before=TOMORROW)
    await call("get_customers of no time", get_customers.call(session, get_customers.Params(updated_after=TOMORROW)), lambda a: a.items == [])
    one = await call("get_customer", get_customer.call(session, ids[0]), lambda a: a.id == ids[0])
    await call("search_customers", search_customers.call(session, search_customers.Params(email=one.email)), lambda a: one.id in [c.id for c in a.items])
    await call("search_customers by id", search_customers.call(session, search_customers.Params(**{"id[]": [one.id]})), lambda a: [c.id for c in a.items] == [one.id])
    await refused("get_line_customer", get_line_customer.call(session, "Unobody"), 404)
    await refused("get_customer", get_customer.call(session, "0" * 24), 404)


async def orders(session):
    ids = await whole("get_orders", get_orders, session, sort_by="desc")
    await whole("search_orders of a time", search_orders, session, updated_after=LONG_AGO, updated_before=TOMORROW)
    one = await call("get_order", get_order.call(session, ids[0]), lambda a: a.id == ids[0])
    await call("search_orders", search_orders.call(session, search_orders.Params(order_number=one.order_number)), lambda a: [o.id for o in a.items] == [one.id])
    await call("get_orders of a customer", get_orders.call(session, get_orders.Params(customer_id=one.customer_id)), lambda a: one.id in [o.id for o in a.items])
    report = create_archived_orders_report
    await call("create_archived_orders_report", report.call(session, report.Body(
        filters=report.FiltersSchema(start_date="2024-01-01T00:00:00.000Z", end_date="2024-12-31T00:00:00.000Z"), callback_url="https://shop.example/report")))
    await refused("get_order", get_order.call(session, "0" * 24), 404)


async def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        connection = json.load(file)["services"][0]["connection"]
    async with ShoplineAPIClient(connection["api_key"], connection["base_url"]).new_session(headers={"User-Agent": connection["account"]}) as session:
        await call("get_token_info", get_token_info.call(session), lambda a: a.merchant["handle"] == connection["account"] or a.merchant)
        for part in (customers, orders):
            try:
                await part(session)
            except (AttributeError, IndexError, TypeError):  # a call before has failed
                failures.append(f"{part.__name__}: ended early")
    async with ShoplineAPIClient("not-a-token", connection["base_url"]).new_session() as session:
        await refused("get_customers with another token", get_customers.call(session), 401)
    for failure in failures:
        print("shopline-client:", failure, file=sys.stderr)
    print(f"shopline-client: {calls - len(failures)} of {calls} calls")
    return 1 if failures else 0


sys.exit(asyncio.run(main()))
