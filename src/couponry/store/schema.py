"""Every table. Keys and unique indexes start with `org_id`, so a tenant is one shard; the constraints repeat the rules.

Instants are epoch milliseconds, money is a scaled integer (`limits.MONEY_SCALE`), JSON is text that msgspec reads and writes.
`org`, `login` and `access_group` are small and shared; on Citus `org` and `login` are reference tables.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _org_id() -> Column[int]:
    return Column("org_id", BigInteger, primary_key=True, autoincrement=False)


def _id() -> Column[int]:
    return Column("id", BigInteger, primary_key=True, autoincrement=False)


def _table(name: str, *parts: Any) -> Table:  # noqa: ANN401 - columns, constraints and indexes, as sqlalchemy.Table takes them
    """A tenant table clustered by its key: on SQLite without the hidden row id that would cost every look-up a second search."""
    return Table(name, metadata, *parts, sqlite_with_rowid=False)


def _belongs_to(table: str, column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["org_id", column], [f"{table}.org_id", f"{table}.id"])


# Who is asking: orgs, the places they sell at, and the credentials of each.

org = Table(
    "org",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("country_code", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
login = Table(
    "login",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("org_id", BigInteger, nullable=False),
    CheckConstraint("kind IN ('till', 'client', 'user')", name="kind"),
)
zone = _table(
    "zone",
    _org_id(),
    _id(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("parent_id", BigInteger),
    Index("uq_zone_code", "org_id", "code", unique=True),
)
concept = _table(
    "concept",
    _org_id(),
    _id(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("parent_id", BigInteger),
    Index("uq_concept_code", "org_id", "code", unique=True),
)
access_group = _table(
    "access_group",
    _org_id(),
    _id(),
    Column("name", Text, nullable=False),
    Column("data_access", String(5), nullable=False),
    Column("config_access", String(5), nullable=False),
    CheckConstraint("data_access IN ('NONE', 'READ', 'WRITE')", name="data_access"),
    CheckConstraint("config_access IN ('NONE', 'READ', 'WRITE')", name="config_access"),
    Index("uq_access_group_name", "org_id", "name", unique=True),
)
store = _table(
    "store",
    _org_id(),
    _id(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("external_id", Text),
    Column("external_id_1", Text),
    Column("external_id_2", Text),
    Column("zone_id", BigInteger),
    Column("concept_id", BigInteger),
    Column("time_zone", Text),
    Column("access_group_id", BigInteger),
    Column("is_active", Boolean, nullable=False),
    Index("uq_store_code", "org_id", "code", unique=True),
    _belongs_to("zone", "zone_id"),
    _belongs_to("concept", "concept_id"),
    _belongs_to("access_group", "access_group_id"),
)
till = _table(
    "till",
    _org_id(),
    _id(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("store_id", BigInteger, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Index("uq_till_code", "org_id", "code", unique=True),
    Index("ix_till_store", "org_id", "store_id"),
    _belongs_to("store", "store_id"),
)
attribution_lookup = _table(
    "attribution_lookup",
    _org_id(),
    Column("type", String(16), primary_key=True),
    Column("value", Text, primary_key=True),
    Column("till_id", BigInteger, nullable=False),
    _belongs_to("till", "till_id"),
)
client = _table(
    "client",
    _org_id(),
    _id(),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("till_id", BigInteger),
    Column("falls_back_to_till", Boolean, nullable=False),
    Column("access_group_id", BigInteger),
    Column("is_admin", Boolean, nullable=False),
    Column("token_ttl_s", Integer, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Index("uq_client_key", "org_id", "key", unique=True),
    _belongs_to("till", "till_id"),
    _belongs_to("access_group", "access_group_id"),
)
console_user = _table(
    "console_user",
    _org_id(),
    _id(),
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", String(8), nullable=False),
    Column("is_active", Boolean, nullable=False),
    CheckConstraint("role IN ('admin', 'marketer', 'support', 'auditor')", name="role"),
    Index("uq_console_user_email", "org_id", "email", unique=True),
)
serial = _table(
    "serial",
    _org_id(),
    Column("kind", String(12), primary_key=True),
    Column("next", BigInteger, nullable=False),
)

# Whom coupons are for.

customer = _table(
    "customer",
    _org_id(),
    _id(),
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
status_label = _table(
    "status_label",
    _org_id(),
    Column("label", Text, primary_key=True),
    Column("blocks_issue", Boolean, nullable=False),
    Column("blocks_redemption", Boolean, nullable=False),
)

# What is offered.

campaign = _table(
    "campaign",
    _org_id(),
    _id(),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("starts_ms", BigInteger),
    Column("ends_ms", BigInteger),
    Column("state", String(8), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    CheckConstraint("state IN ('ACTIVE', 'PAUSED', 'ENDED')", name="state"),
)
series = _table(
    "series",
    _org_id(),
    _id(),
    Column("code_key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("campaign_id", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", BigInteger),
    Column("codes_made", BigInteger, nullable=False, server_default="0"),
    Index("uq_series_code", "org_id", "code_key", unique=True),
    Index("ix_series_campaign", "org_id", "campaign_id"),
    _belongs_to("campaign", "campaign_id"),
)
series_version = _table(
    "series_version",
    _org_id(),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("terms", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", BigInteger),
    _belongs_to("series", "series_id"),
)
series_audience = _table(
    "series_audience",
    _org_id(),
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("customer_id", BigInteger, primary_key=True, autoincrement=False),
)
# The tills, stores, zones and concepts that a series' current terms name (`redemptionOrgEntityDetails`), to find it by.
series_entity = _table(
    "series_entity",
    _org_id(),
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
series_counter = _table(
    "series_counter",
    _org_id(),
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

# What is in circulation. `holder_id` is the customer whose own record of a shared code a row is, else 0; `revision` is 0 for the
# live row of a code and the row's id once revoked, which frees the code for another upload. `uses` counts redemptions ever made,
# reversed ones too: it numbers them. `issued_by_redemption` marks what a redeemer was given or bound to
# without an issue, which no issue counter counts.

_IN_POOL = text("issued_ms IS NULL AND revoked_ms IS NULL")
coupon = _table(
    "coupon",
    _org_id(),
    _id(),
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
    Index("ix_coupon_customer", "org_id", "customer_id", "series_id"),
    Index("ix_coupon_series", "org_id", "series_id", "id"),
    Index("ix_coupon_pool", "org_id", "series_id", "id", postgresql_where=_IN_POOL, sqlite_where=_IN_POOL),
)
_IS_REVERSED = text("reversed_ms IS NOT NULL")
# `use_number` and `customer_use_number` make a double redemption impossible to insert: two writers that did not see each other
# would give the same number.
redemption = _table(
    "redemption",
    _org_id(),
    _id(),
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
    Index("ix_redemption_series", "org_id", "series_id", "redeemed_ms"),
    Index(
        "ix_redemption_reversed", "org_id", "series_id", "reversed_ms", postgresql_where=_IS_REVERSED, sqlite_where=_IS_REVERSED
    ),
)
customer_series = _table(
    "customer_series",
    _org_id(),
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

idempotency = _table(
    "idempotency",
    _org_id(),
    Column("digest", String(48), primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("answer", LargeBinary, nullable=False),
)
outbox = _table(
    "outbox",
    _org_id(),
    _id(),
    Column("event", String(24), nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    Column("subject_ids", Text),
    Column("customer_id", BigInteger),
    Column("request_id", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
refusal = _table(
    "refusal",
    _org_id(),
    _id(),
    Column("status", Text, nullable=False),
    Column("code_sent", Text, nullable=False),
    Column("coupon_id", BigInteger),
    Column("series_id", BigInteger),
    Column("customer_id", BigInteger),
    Column("till_id", BigInteger, nullable=False),
    Column("transaction_number", Text, nullable=False),
    Column("amount", BigInteger),
    Column("evaluated_ms", BigInteger),
    Column("refused_ms", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Index("ix_refusal_coupon", "org_id", "coupon_id", "id"),
)
