"""Who is asking: orgs, the places they sell at, and the credentials of each."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, String, Table, Text, false

from couponry.store.schema.table import belongs_to, metadata, org_id, org_table, own_id

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
zone = org_table(
    "zone",
    org_id(),
    own_id(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("parent_id", BigInteger),
    Index("uq_zone_code", "org_id", "code", unique=True),
)
concept = org_table(
    "concept",
    org_id(),
    own_id(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("parent_id", BigInteger),
    Index("uq_concept_code", "org_id", "code", unique=True),
)
access_group = org_table(
    "access_group",
    org_id(),
    own_id(),
    Column("name", Text, nullable=False),
    Column("data_access", String(5), nullable=False),
    Column("config_access", String(5), nullable=False),
    CheckConstraint("data_access IN ('NONE', 'READ', 'WRITE')", name="data_access"),
    CheckConstraint("config_access IN ('NONE', 'READ', 'WRITE')", name="config_access"),
    Index("uq_access_group_name", "org_id", "name", unique=True),
)
store = org_table(
    "store",
    org_id(),
    own_id(),
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
    belongs_to("zone", "zone_id"),
    belongs_to("concept", "concept_id"),
    belongs_to("access_group", "access_group_id"),
)
till = org_table(
    "till",
    org_id(),
    own_id(),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("store_id", BigInteger, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Index("uq_till_code", "org_id", "code", unique=True),
    Index("ix_till_store", "org_id", "store_id"),
    belongs_to("store", "store_id"),
)
attribution_lookup = org_table(
    "attribution_lookup",
    org_id(),
    Column("type", String(16), primary_key=True),
    Column("value", Text, primary_key=True),
    Column("till_id", BigInteger, nullable=False),
    belongs_to("till", "till_id"),
)
client = org_table(
    "client",
    org_id(),
    own_id(),
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
    belongs_to("till", "till_id"),
    belongs_to("access_group", "access_group_id"),
)
# Whoever `must_change` was given a password by another person.
console_user = org_table(
    "console_user",
    org_id(),
    own_id(),
    Column("email", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("role", String(8), nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("must_change", Boolean, nullable=False, server_default=false()),
    CheckConstraint("role IN ('admin', 'marketer', 'support', 'auditor')", name="role"),
    Index("uq_console_user_email", "org_id", "email", unique=True),
)
serial = org_table(
    "serial",
    org_id(),
    Column("kind", String(12), primary_key=True),
    Column("next", BigInteger, nullable=False),
)
