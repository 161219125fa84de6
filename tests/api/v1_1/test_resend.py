"""What a resend leaves in the database: a row of the outbox when it is sent, none when it is refused."""

from sqlalchemy import select

from couponry.store import schema as t
from tests.api.holdings import coupon_id, customer_id
from tests.api.shop import MIRA, Shop


def test_message_is_committed_with_the_answer(shop: Shop) -> None:
    code = shop.coupon()
    arun = {"mobile": "919812300002"}
    with shop.front() as front:
        statuses = [
            front.ask("GET", "/v1.1/coupon/resend", params={"code": code, **who}, headers={"X-CAP-REQUEST-ID": "r-1"}).status_code
            for who in (MIRA, arun)
        ]
    assert statuses == [200, 500]
    row = t.outbox.c
    wanted = select(row.subject_id, row.customer_id, row.request_id, row.subject_ids).where(
        row.org_id == shop.org_id, row.event == "ResendMessage"
    )
    with shop.database.reading() as tx:
        (sent,) = tx.rows(wanted, {})
    assert tuple(sent) == (coupon_id(shop, code), customer_id(shop, MIRA["mobile"]), "r-1", None)
