"""Whom coupons are for, and what is offered."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, SmallInteger, String, Text

from couponry.store.schema.table import belongs_to, org_id, org_table, own_id

customer = org_table(
    "customer",
    org_id(),
    own_id(),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("mobile", Text),
    Column("email", Text),
    Column("external_id", Text),
    Column("card_number", Text),
    Column("card_external_id", Text),
    Column("is_loyalty", Boolean, nullable=False),
    Column("fraud_status", String(12), nullable=False),
    Column("status_label", Text, nullable=False),
    Column("transaction_count", Integer, nullable=False),
    Column("registered_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("merged_into_id", BigInteger),
    Column("deleted_ms", BigInteger),
    Column("custom_fields", Text),
    Column("extended_fields", Text),
    Column("status_reason", Text),
    Column("registered_till_id", BigInteger),
    Column("updated_till_id", BigInteger),
    Column("unsubscribed", String(32)),
    CheckConstraint(
        "fraud_status IN ('NONE', 'MARKED', 'CONFIRMED', 'RECONFIRMED', 'NOT_FRAUD', 'INTERNAL')", name="fraud_status"
    ),
    CheckConstraint("transaction_count >= 0", name="transaction_count"),
    Index("uq_customer_mobile", "org_id", "mobile", unique=True),
    Index("uq_customer_email", "org_id", "email", unique=True),
    Index("uq_customer_external_id", "org_id", "external_id", unique=True),
    Index("uq_customer_card_number", "org_id", "card_number", unique=True),
    Index("uq_customer_card_external_id", "org_id", "card_external_id", unique=True),
)
status_label = org_table(
    "status_label",
    org_id(),
    Column("label", Text, primary_key=True),
    Column("blocks_issue", Boolean, nullable=False),
    Column("blocks_redemption", Boolean, nullable=False),
)

# What is offered.

campaign = org_table(
    "campaign",
    org_id(),
    own_id(),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("starts_ms", BigInteger),
    Column("ends_ms", BigInteger),
    Column("state", String(8), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    CheckConstraint("state IN ('ACTIVE', 'PAUSED', 'ENDED')", name="state"),
)
series = org_table(
    "series",
    org_id(),
    own_id(),
    Column("code_key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("campaign_id", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", BigInteger),
    Column("codes_made", BigInteger, nullable=False, server_default="0"),
    Index("uq_series_code", "org_id", "code_key", unique=True),
    Index("ix_series_campaign", "org_id", "campaign_id"),
    belongs_to("campaign", "campaign_id"),
)
series_version = org_table(
    "series_version",
    org_id(),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("terms", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", BigInteger),
    belongs_to("series", "series_id"),
)
series_audience = org_table(
    "series_audience",
    org_id(),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
)
# The tills, stores, zones and concepts that a series' current terms name (`redemptionOrgEntityDetails`), to find it by.
series_entity = org_table(
    "series_entity",
    org_id(),
    Column("entity_type", String(7), primary_key=True),
    Column("entity_id", BigInteger, primary_key=True, autoincrement=False),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
)
CAPPED_STRIPE = 0
STRIPES = 16
# Stripe 0 counts a capped series and is locked by whoever counts; the other stripes spread the writers of uncapped ones, and
# what they hold when a cap is set moves to stripe 0 (`store/caps.py`), or is its `*_elsewhere`. The checks are the last line
# against going over a cap. `uploaded` counts, on stripe 0, the codes ever uploaded to a pool (`DISC_CODE_PIN`), those issued or
# revoked since, too.
series_counter = org_table(
    "series_counter",
    org_id(),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("stripe", SmallInteger, primary_key=True, autoincrement=False),
    Column("issued", BigInteger, nullable=False, server_default="0"),
    Column("redeemed", BigInteger, nullable=False, server_default="0"),
    Column("issued_elsewhere", BigInteger, nullable=False, server_default="0"),
    Column("redeemed_elsewhere", BigInteger, nullable=False, server_default="0"),
    Column("issued_max", BigInteger, nullable=False, server_default="-1"),
    Column("redeemed_max", BigInteger, nullable=False, server_default="-1"),
    Column("last_issued_ms", BigInteger),
    Column("last_redeemed_ms", BigInteger),
    Column("uploaded", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("issued_max < 0 OR issued_elsewhere + issued <= issued_max", name="issued_within_cap"),
    CheckConstraint("redeemed_max < 0 OR redeemed_elsewhere + redeemed <= redeemed_max", name="redeemed_within_cap"),
    CheckConstraint("stripe = 0 OR issued_max < 0 OR issued = issued_max", name="issued_barred"),
    CheckConstraint("stripe = 0 OR redeemed_max < 0 OR redeemed = redeemed_max", name="redeemed_barred"),
)
