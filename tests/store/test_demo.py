"""The demo shop: made once, kept, and always with a coupon to try."""

from sqlalchemy import func, select, text

from couponry.core.roles import ROLES
from couponry.store import demo, doctor, passwords, registry, schema, sessions
from couponry.store.engine import Database

NOW_MS = 1_900_000_000_000


def rows(database: Database) -> list[int]:
    tables = (schema.org, schema.till, schema.customer, schema.series, schema.coupon, schema.customer_series)
    with database.reading() as tx:
        return [tx.connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]


def test_second_start_keeps_the_shop(database: Database) -> None:
    first = demo.offer(database, NOW_MS)
    made = rows(database)
    assert demo.offer(database, NOW_MS + 1) == first
    assert rows(database) == made
    assert (first.code, first.secret) == ("DEMO-0001", passwords.till_secret("demo"))
    with database.reading() as tx:
        assert registry.org_of_login(tx, "till", "demo.till") == 1001
    assert doctor.check(database).differences == []


def test_there_is_somebody_of_each_role(database: Database) -> None:
    for _ in range(2):
        demo.offer(database, NOW_MS)
    with database.reading() as tx:
        people = [sessions.person_of(tx, demo.email_of(role)) for role in ROLES]
    assert [person and person.role for person in people] == list(ROLES)
    assert all(person and passwords.is_secret(demo.CONSOLE_PASSWORD, person.password_hash) for person in people)


def test_there_is_always_a_coupon_to_try(database: Database) -> None:
    """Prevents a demo whose first command is refused because somebody tried it yesterday."""
    demo.offer(database, NOW_MS)
    with database.writing() as tx:
        tx.connection.execute(text("UPDATE coupon SET redeemed = 1, uses = 1 WHERE code = 'DEMO-0001'"))
    assert demo.offer(database, NOW_MS).code == "DEMO-0002"
    with database.writing() as tx:
        tx.connection.execute(text("UPDATE coupon SET redeemed = 1, uses = 1 WHERE code LIKE 'DEMO-%'"))
    assert demo.offer(database, NOW_MS).code == "DEMO-0101"


def test_shop_that_was_half_made_is_finished(database: Database) -> None:
    demo.offer(database, NOW_MS)
    whole = rows(database)
    with database.writing() as tx:
        for table in ("customer_series", "coupon"):
            tx.connection.execute(
                text(f"DELETE FROM {table} WHERE series_id <> 5002" if table == "coupon" else f"DELETE FROM {table}")
            )
    demo.offer(database, NOW_MS)
    assert rows(database) == whole
