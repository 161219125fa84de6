"""What is in circulation, what was answered, what is to be told to others, and what was refused."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    false,
    text,
)

from couponry.store.schema.table import org_id, org_table, own_id

_IN_POOL = text("issued_ms IS NULL AND revoked_ms IS NULL")
_HAS_EFFECTS = text("event = 'SideEffects'")
_REDATES = text("event = 'CouponExpiryChange'")
# `holder_id` is the customer whose own record of a shared code a row is, else 0; `revision` is 0 for the
# live row of a code and the row's id once revoked, which frees the code for another upload. `uses` counts redemptions ever made,
# reversed ones too: it numbers them. `issued_by_redemption` marks what a redeemer was given or bound to
# without an issue, which no issue counter counts.
coupon = org_table(
    "coupon",
    org_id(),
    own_id(),
    Column("series_id", BigInteger, nullable=False),
    Column("code", String(40), nullable=False),
    Column("code_key", String(40), nullable=False),
    Column("holder_id", BigInteger, nullable=False, server_default="0"),
    Column("revision", BigInteger, nullable=False, server_default="0"),
    Column("customer_id", BigInteger),
    Column("issued_ms", BigInteger),
    Column("issued_till_id", BigInteger),
    Column("issue_details", Text),
    Column("issued_by_redemption", Boolean, nullable=False, server_default=false()),
    Column("expires_local", String(19)),
    Column("revoked_ms", BigInteger),
    Column("redeemed", Integer, nullable=False, server_default="0"),
    Column("uses", Integer, nullable=False, server_default="0"),
    Column("created_ms", BigInteger, nullable=False),
    CheckConstraint("redeemed >= 0 AND redeemed <= uses", name="redeemed"),
    CheckConstraint("revision = CASE WHEN revoked_ms IS NULL THEN 0 ELSE id END", name="revision"),
    CheckConstraint("holder_id = 0 OR holder_id = customer_id", name="holder"),
    CheckConstraint("customer_id IS NULL OR issued_ms IS NOT NULL", name="issued"),
    Index("uq_coupon_code", "org_id", "code_key", "holder_id", "revision", unique=True),
    Index("ix_coupon_customer", "org_id", "customer_id", "series_id", "issued_ms", "id"),
    Index("ix_coupon_series", "org_id", "series_id", "id"),
    Index("ix_coupon_pool", "org_id", "series_id", "id", postgresql_where=_IN_POOL, sqlite_where=_IN_POOL),
)
_IS_REVERSED = text("reversed_ms IS NOT NULL")
_HAS_BILL = text("transaction_number <> ''")
# `use_number` and `customer_use_number` make a double redemption impossible to insert: two writers that did not see each other
# would give the same number. `discount` is what was given on the bill as it was then (`core.figures`), whatever becomes of it.
redemption = org_table(
    "redemption",
    org_id(),
    own_id(),
    Column("coupon_id", BigInteger, nullable=False),
    Column("use_number", Integer, nullable=False),
    Column("series_id", BigInteger, nullable=False),
    Column("series_version", Integer, nullable=False),
    Column("customer_id", BigInteger, nullable=False),
    Column("customer_use_number", Integer, nullable=False),
    Column("till_id", BigInteger, nullable=False),
    Column("store_id", BigInteger, nullable=False),
    Column("redeemed_ms", BigInteger, nullable=False),
    Column("amount", BigInteger),
    Column("discount", BigInteger, nullable=False, server_default="0"),
    Column("transaction_number", Text, nullable=False),
    Column("bill_id", BigInteger),
    Column("custom_fields", Text),
    Column("request_id", Text, nullable=False),
    Column("reversed_ms", BigInteger),
    Column("reversed_till_id", BigInteger),
    Column("reversal_reason", Text),
    CheckConstraint("amount IS NULL OR amount >= 0", name="amount"),
    Index("uq_redemption_use", "org_id", "coupon_id", "use_number", unique=True),
    Index("uq_redemption_customer_use", "org_id", "customer_id", "series_id", "customer_use_number", unique=True),
    Index("ix_redemption_series", "org_id", "series_id", "redeemed_ms", "id"),
    Index("ix_redemption_time", "org_id", "redeemed_ms", "id"),
    Index(
        "ix_redemption_reversed", "org_id", "series_id", "reversed_ms", postgresql_where=_IS_REVERSED, sqlite_where=_IS_REVERSED
    ),
    Index("ix_redemption_bill", "org_id", "transaction_number", "id", postgresql_where=_HAS_BILL, sqlite_where=_HAS_BILL),
)
customer_series = org_table(
    "customer_series",
    org_id(),
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("issued", Integer, nullable=False, server_default="0"),
    Column("redeemed", Integer, nullable=False, server_default="0"),
    Column("uses", Integer, nullable=False, server_default="0"),
    Column("last_issued_ms", BigInteger),
    Column("last_redeemed_ms", BigInteger),
    CheckConstraint("issued >= 0", name="issued"),
    CheckConstraint("redeemed >= 0 AND redeemed <= uses", name="redeemed"),
)

# What was answered, what is to be told to others, and what was refused.

idempotency = org_table(
    "idempotency",
    org_id(),
    Column("digest", String(48), primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("answer", LargeBinary, nullable=False),
)
# `position` is the order in which what happened is told; the worker gives it, to what is committed. `rank` says what is told
# first (`core.telling`). `identified_by` lists the kinds of identifiers that a request named its customer by.
_IS_NEW = text("position IS NULL")
_IS_PLACED = text("position IS NOT NULL")
outbox = org_table(
    "outbox",
    org_id(),
    own_id(),
    Column("event", String(24), nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("subject_ids", Text),
    Column("customer_id", BigInteger),
    Column("request_id", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("position", BigInteger),
    Column("identified_by", String(64)),
    Column("rank", SmallInteger, nullable=False, server_default="1"),
    Index("ix_outbox_new", "org_id", "rank", "created_ms", "id", postgresql_where=_IS_NEW, sqlite_where=_IS_NEW),
    Index("uq_outbox_position", "org_id", "position", unique=True, postgresql_where=_IS_PLACED, sqlite_where=_IS_PLACED),
    Index("ix_outbox_redated", "org_id", "subject_id", "id", postgresql_where=_REDATES, sqlite_where=_REDATES),
    Index("ix_outbox_side_effects", "org_id", "subject_id", postgresql_where=_HAS_EFFECTS, sqlite_where=_HAS_EFFECTS),
)
# A code that was sent to a customer: its MAC to compare it with, and itself sealed (`core.validation`). `message` is JSON: where
# it was to be sent, and in which words.
otp = org_table(
    "otp",
    org_id(),
    own_id(),
    Column("customer_id", BigInteger, nullable=False),
    Column("scope", String(32), nullable=False),
    Column("entity_type", String(6), nullable=False),
    Column("entity_value", Text, nullable=False),
    Column("mac", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("wrong_tries", Integer, nullable=False, server_default="0"),
    CheckConstraint("wrong_tries >= 0", name="wrong_tries"),
    Index("ix_otp_customer", "org_id", "customer_id", "expires_ms"),
)
missed_call = org_table(
    "missed_call",
    org_id(),
    own_id(),
    Column("customer_id", BigInteger, nullable=False),
    Column("mobile", Text, nullable=False),
    Column("called_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Index("ix_missed_call_customer", "org_id", "customer_id", "called_ms"),
)
refusal = org_table(
    "refusal",
    org_id(),
    own_id(),
    Column("status", Text, nullable=False),
    Column("code_sent", Text, nullable=False),
    Column("coupon_id", BigInteger),
    Column("series_id", BigInteger),
    Column("customer_id", BigInteger),
    Column("till_id", BigInteger, nullable=False),
    Column("store_id", BigInteger, nullable=False, server_default="0"),
    Column("transaction_number", Text, nullable=False),
    Column("amount", BigInteger),
    Column("evaluated_ms", BigInteger),
    Column("refused_ms", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Index("ix_refusal_coupon", "org_id", "coupon_id", "id"),
    Index("ix_refusal_time", "org_id", "refused_ms", "id"),
    Index("ix_refusal_series", "org_id", "series_id", "refused_ms", "id"),
)
