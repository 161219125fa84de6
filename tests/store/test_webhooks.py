"""Webhooks as they are stored."""

from couponry.core.deliveries import Webhook
from couponry.core.limits import SECRET_KEPT_MS, WEBHOOKS_MAX
from couponry.core.problem import Problem
from couponry.core.validation import Vault
from couponry.core.webhook_drafts import Draft
from couponry.store.engine import Database
from couponry.store.webhooks import (
    Names,
    active_webhooks,
    create_webhook,
    delete_webhook,
    list_webhooks,
    opened,
    read_webhook,
    rotate_secret,
    update_webhook,
)

NOW = 1_930_000_000_000
VAULT = Vault(b"k" * 32)


def draft(name: str = "pos-bridge", **wanted: object) -> Draft:
    usual = {"url": "https://hooks.example.com/c", "event_names": frozenset({"CouponIssue"}), "headers": {"Authorization": "Æ 1"}}
    return Draft(**{"name": name, **usual, "connections_max": 10, "sla_s": 30, **wanted})  # type: ignore[arg-type] # named in each test


def create(database: Database, name: str = "pos-bridge", org_id: int = 1) -> Webhook | Problem:
    with database.writing() as tx:
        names = Names(f"{org_id}{name}"[:24], "8371bfe1-4e27-427c-8d03-a30c85066a1b")
        return create_webhook(tx, org_id, draft(name), names, VAULT, till_id=7, now_ms=NOW)


def test_a_webhook_is_read_as_it_was_written(database: Database) -> None:
    made, other = create(database), create(database, org_id=2)
    assert isinstance(made, Webhook)
    assert isinstance(other, Webhook)
    with database.reading() as tx:
        assert read_webhook(tx, 1, made.wire_id) == made
        assert list_webhooks(tx, 1) == active_webhooks(tx, 1) == [made]
        assert read_webhook(tx, 2, made.wire_id) is None
    assert b"Authorization" not in made.headers
    assert opened(made, 1, VAULT) == {"Authorization": "Æ 1"}
    assert opened(made, 1, Vault(b"another")) is None
    assert opened(made, 2, VAULT) is None


def test_a_webhook_changes_rotates_and_goes(database: Database) -> None:
    made = create(database)
    assert isinstance(made, Webhook)
    with database.writing() as tx:
        wanted = draft(
            "other", headers={}, event_names=frozenset({"CouponRedeem"}), is_active=False, enrichments=frozenset({"till"})
        )
        changed = update_webhook(tx, 1, made.wire_id, wanted, VAULT, till_id=8, now_ms=NOW + 1)
        assert isinstance(changed, Webhook)
        assert (changed.name, changed.created_by, changed.updated_by, opened(changed, 1, VAULT)) == ("other", 7, 8, {})
        assert changed.event_names == {"CouponRedeem"}
    with database.writing() as tx:
        assert active_webhooks(tx, 1) == []
        assert read_webhook(tx, 1, made.wire_id) == changed
        rotated = rotate_secret(tx, 1, made.wire_id, till_id=9, now_ms=NOW + 2)
        assert isinstance(rotated, Webhook)
        assert read_webhook(tx, 1, made.wire_id) == rotated
    assert made.secret_numbers(NOW) == (1,)
    assert rotated.secret_numbers(NOW + 2) == (2, 1)
    assert rotated.secret_numbers(NOW + 2 + SECRET_KEPT_MS) == (2,)
    with database.writing() as tx:
        assert delete_webhook(tx, 1, made.wire_id) == rotated
        assert list_webhooks(tx, 1) == []


def test_what_cannot_be(database: Database) -> None:
    made = create(database)
    assert isinstance(made, Webhook)
    taken = create(database)
    assert isinstance(taken, Problem)
    assert taken.code == "name_taken"
    create(database, "other")
    with database.writing() as tx:
        for asked in (
            update_webhook(tx, 1, made.wire_id, draft("other"), VAULT, till_id=7, now_ms=NOW),
            update_webhook(tx, 2, made.wire_id, draft(), VAULT, till_id=7, now_ms=NOW),
            rotate_secret(tx, 2, made.wire_id, till_id=7, now_ms=NOW),
            delete_webhook(tx, 2, made.wire_id),
        ):
            assert isinstance(asked, Problem)
    for number in range(WEBHOOKS_MAX - 2):
        assert isinstance(create(database, f"w{number}"), Webhook)
    many = create(database, "one more")
    assert isinstance(many, Problem)
    assert many.code == "too_many"
