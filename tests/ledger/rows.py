"""The core's small worlds as rows of real tables, written and read back without the code under test."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Table, insert

from couponry.core.codes import code_key
from couponry.core.model import Coupon, Customer
from couponry.core.series import Series
from couponry.store import doctor
from couponry.store import schema as t
from couponry.store.counting import Counting, zone_of
from couponry.store.engine import Database, ReadTransaction
from couponry.store.recount import recounted
from tests.core.world import NOW, ORG, ZONE, coupon, customer, series

_COUNT_UPLOADED = """
    UPDATE series_counter SET uploaded = (SELECT COUNT(*) FROM coupon AS c WHERE c.org_id = {org}
    AND c.series_id = series_counter.series_id)
    WHERE org_id = {org} AND stripe = 0 AND EXISTS (SELECT 1 FROM series_version AS v WHERE v.org_id = {org}
    AND v.series_id = series_counter.series_id AND v.terms <> REPLACE(v.terms, 'DISC_CODE_PIN', ''))
"""
NEW_COUPON_SERIAL = 1_000_000
"""Coupons that the ledger makes are numbered from here, out of the way of those that tests make."""


def write_org(database: Database, org_id: int = ORG, **columns: Any) -> None:
    """An org without anything, in India unless said otherwise."""
    row = {"name": "Shop", "time_zone": ZONE.key, "currency": "INR", "country_code": "91", "settings": "{}", "version": 1}
    label = {"label": "SUSPENDED", "blocks_issue": True, "blocks_redemption": True}
    with database.writing() as tx:
        tx.connection.execute(insert(t.org).values(id=org_id, created_ms=NOW, **row | columns))
        tx.connection.execute(insert(t.status_label).values(org_id=org_id, **label))
        tx.connection.execute(insert(t.serial).values(org_id=org_id, kind="coupon", next=NEW_COUPON_SERIAL))


def write(database: Database, *things: Series | Customer | Coupon, org_id: int = ORG) -> None:
    """The rows of these things, all in one transaction."""
    rows: dict[Table, list[dict[str, Any]]] = {}
    for thing in things:
        parts = _of_series(thing) if isinstance(thing, Series) else _of_customer(thing) if isinstance(thing, Customer) else ()
        for table, row in parts or _of_coupon(thing):  # type: ignore[arg-type] # what is left is a coupon
            rows.setdefault(table, []).append({"org_id": org_id, **row})
    with database.writing() as tx:
        for table in sorted(rows, key=t.metadata.sorted_tables.index):
            tx.connection.execute(insert(table), rows[table])
        tx.connection.exec_driver_sql(_COUNT_UPLOADED.format(org=org_id))


def open_shop(database: Database, *things: Series | Customer | Coupon, org_id: int = ORG, **columns: Any) -> None:
    """An org with customers Mira and Noor, and with these things; with series 1 and Mira's coupon of it if there are none."""
    write_org(database, org_id, **columns)
    has_series = any(isinstance(thing, Series) for thing in things)
    has_coupon = any(isinstance(thing, Coupon) for thing in things)
    of_default = () if has_series else (series(),)
    write(database, customer(1), customer(2), *of_default, *things, *(() if has_coupon else (coupon(),)), org_id=org_id)


def _of_series(one: Series) -> Iterator[tuple[Table, dict[str, Any]]]:
    yield t.series, {"id": one.id, "code_key": f"S{one.id}", "version": one.version, "created_ms": NOW}
    terms = msgspec.json.encode(one.terms).decode()
    yield t.series_version, {"series_id": one.id, "version": one.version, "terms": terms, "created_ms": NOW}
    caps = {"redeemed_max": one.terms.max_redeem, "issued_max": one.terms.max_create}
    yield t.series_counter, {"series_id": one.id, "stripe": t.CAPPED_STRIPE, **caps}


def _of_customer(one: Customer) -> Iterator[tuple[Table, dict[str, Any]]]:
    row = msgspec.structs.asdict(one)
    del row["gone"]
    fields = msgspec.json.encode(row.pop("custom_fields")).decode()
    unwanted = ",".join(sorted(row.pop("unsubscribed"))) or None
    yield t.customer, {**row, "deleted_ms": NOW if one.gone else None, "custom_fields": fields, "unsubscribed": unwanted}


def _of_coupon(one: Coupon) -> Iterator[tuple[Table, dict[str, Any]]]:
    row = msgspec.structs.asdict(one)
    is_revoked = row.pop("is_revoked")
    revoked = {"revision": one.id if is_revoked else 0, "revoked_ms": NOW if is_revoked else None}
    yield t.coupon, {**row, **revoked, "code_key": code_key(one.code), "created_ms": NOW}


def rows(database: Database, table: Table, org_id: int = ORG) -> list[dict[str, Any]]:
    """Every row of an org in a table, in key order."""
    with database.reading() as tx:
        return _rows(tx, table, org_id)


def _rows(tx: ReadTransaction, table: Table, org_id: int) -> list[dict[str, Any]]:
    key = ", ".join(column.name for column in table.primary_key)
    cursor = tx.connection.exec_driver_sql(f"SELECT * FROM {table.name} WHERE org_id = {org_id} ORDER BY {key}").cursor
    assert cursor is not None
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def run_sql(database: Database, *statements: str) -> None:
    """Whatever a test does to the database behind the ledger's back."""
    with database.writing() as tx:
        for statement in statements:
            tx.connection.exec_driver_sql(statement)


def miscounts(database: Database, org_id: int = ORG) -> list[str]:
    """Every stored counter that is not what the redemptions add up to, and every redemption without its one event."""
    tables = (t.redemption, t.coupon, t.customer_series, t.series_counter, t.outbox)
    with database.reading() as tx:
        redemptions, coupons, standings_stored, counters, events_stored = (_rows(tx, table, org_id) for table in tables)
    active = [row for row in redemptions if row["reversed_ms"] is None]
    wrong: list[str] = []

    def compare(what: str, stored: dict[Any, int], counted: Counter[Any]) -> None:
        wrong.extend(
            f"{what} {key}: {stored.get(key)}, counted {counted[key]}"
            for key in sorted({*stored, *counted})
            if stored.get(key, 0) != counted[key]
        )

    compare("coupon redeemed", {row["id"]: row["redeemed"] for row in coupons}, Counter(row["coupon_id"] for row in active))
    compare("coupon uses", {row["id"]: row["uses"] for row in coupons}, Counter(row["coupon_id"] for row in redemptions))
    standings = {(row["customer_id"], row["series_id"]): row for row in standings_stored}
    compare(
        "customer redeemed",
        {key: row["redeemed"] for key, row in standings.items()},
        Counter((row["customer_id"], row["series_id"]) for row in active),
    )
    compare(
        "customer uses",
        {key: row["uses"] for key, row in standings.items()},
        Counter((row["customer_id"], row["series_id"]) for row in redemptions),
    )
    by_series: Counter[int] = Counter()
    for row in counters:
        by_series[row["series_id"]] += row["redeemed"]
    compare("series redeemed", dict(by_series), Counter(row["series_id"] for row in active))
    events = Counter(row["subject_id"] for row in events_stored if row["event"] == "CouponRedeem")
    compare("event", dict(events), Counter(row["id"] for row in redemptions))
    return wrong


def count_issued(database: Database, org_id: int = ORG) -> None:
    """Count what tests have put into customers' hands, as an import would have."""
    given = f"FROM coupon WHERE org_id = {org_id} AND issued_ms IS NOT NULL AND NOT issued_by_redemption"
    run_sql(
        database,
        f"INSERT INTO customer_series (org_id, customer_id, series_id, issued, last_issued_ms) "
        f"SELECT org_id, customer_id, series_id, SUM(CASE WHEN revoked_ms IS NULL THEN 1 ELSE 0 END), MAX(issued_ms) {given} "
        f"AND customer_id IS NOT NULL GROUP BY org_id, customer_id, series_id",
        f"UPDATE series_counter SET issued = (SELECT COUNT(*) {given} AND series_id = series_counter.series_id) "
        f"WHERE org_id = {org_id} AND stripe = {t.CAPPED_STRIPE}",
    )
    count_days(database, org_id)


def count_days(database: Database, org_id: int = ORG) -> None:
    """The figures of what tests have written behind the ledger's back."""
    with database.writing() as tx:
        for table in (t.daily_figure, t.daily_refusal):
            tx.connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE org_id = {org_id}")
        Counting(tx.dialect).add(tx, org_id, recounted(tx.connection, org_id, zone_of(tx, org_id)))


def wrongs(database: Database, org_id: int = ORG, *, asks_doctor: bool = True) -> list[str]:
    """What the doctor finds, and what we count ourselves: coupons issued, and the one event of each act."""
    wrong = [*miscounts(database, org_id), *_misissued(database, org_id), *_mistold(database, org_id)]
    if asks_doctor:
        wrong += [str(one) for one in doctor.check(database).differences if one.org_id == org_id]
    return wrong


def _misissued(database: Database, org_id: int) -> list[str]:
    coupons = rows(database, t.coupon, org_id)
    issued = [row for row in coupons if row["issued_ms"] and not row["issued_by_redemption"]]
    per_series, stored = Counter(row["series_id"] for row in issued), Counter[int]()
    for row in rows(database, t.series_counter, org_id):
        stored[row["series_id"]] += row["issued"]
    per_customer = Counter((row["customer_id"], row["series_id"]) for row in issued if not row["revoked_ms"])
    kept = Counter({(row["customer_id"], row["series_id"]): row["issued"] for row in rows(database, t.customer_series, org_id)})
    held = Counter((row["code_key"], row["holder_id"]) for row in coupons if not row["revoked_ms"])
    wrong = [f"{key} is held {times} times" for key, times in held.items() if times > 1]
    wrong += [f"series issued: {stored}, counted {per_series}"] if +stored != per_series else []
    return wrong + ([f"customer issued: {kept}, counted {per_customer}"] if +kept != per_customer else [])


def _mistold(database: Database, org_id: int) -> list[str]:
    """What nobody uploaded was issued; a merge revokes records of shared codes, and tells nobody."""
    told: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for row in rows(database, t.outbox, org_id):
        told[row["event"]].update(msgspec.json.decode(row["subject_ids"] or f"[{row['subject_id']}]"))
    coupons, redemptions = rows(database, t.coupon, org_id), rows(database, t.redemption, org_id)
    by_ledger = (row for row in coupons if row["issued_till_id"] and not row["issued_by_redemption"])
    revoked = {row["id"] for row in coupons if row["revoked_ms"]}
    is_merged = any(row["merged_into_id"] for row in rows(database, t.customer, org_id))
    due = {
        "CouponIssue": {row["id"] for row in by_ledger},
        "CouponRevoke": revoked & {*told["CouponRevoke"]} if is_merged else revoked,
        "CouponReactivate": {row["id"] for row in redemptions if row["reversed_ms"] or row["reversal_reason"]},
    }
    return [f"{name}: {told[name]}, due {sorted(ids)}" for name, ids in due.items() if told[name] != Counter(ids)]
