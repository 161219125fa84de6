"""Who is asking: orgs, their places and credentials, and their customers.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _orgs()
    _places()
    _stores_and_tills()
    _credentials()
    _customers()


def _orgs() -> None:
    op.create_table(
        "org",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_org")),
    )
    op.create_table(
        "login",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("org_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('till', 'client', 'user')", name=op.f("ck_login_kind")),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_login")),
    )
    op.create_table(
        "serial",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "kind", name=op.f("pk_serial")),
        sqlite_with_rowid=False,
    )


def _places() -> None:
    op.create_table(
        "zone",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_zone")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_zone_code", "zone", ["org_id", "code"], unique=True)
    op.create_table(
        "concept",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_concept")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_concept_code", "concept", ["org_id", "code"], unique=True)
    op.create_table(
        "access_group",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("data_access", sa.String(length=5), nullable=False),
        sa.Column("config_access", sa.String(length=5), nullable=False),
        sa.CheckConstraint("config_access IN ('NONE', 'READ', 'WRITE')", name=op.f("ck_access_group_config_access")),
        sa.CheckConstraint("data_access IN ('NONE', 'READ', 'WRITE')", name=op.f("ck_access_group_data_access")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_access_group")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_access_group_name", "access_group", ["org_id", "name"], unique=True)


def _stores_and_tills() -> None:
    op.create_table(
        "store",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text()),
        sa.Column("external_id_1", sa.Text()),
        sa.Column("external_id_2", sa.Text()),
        sa.Column("zone_id", sa.BigInteger()),
        sa.Column("concept_id", sa.BigInteger()),
        sa.Column("time_zone", sa.Text()),
        sa.Column("access_group_id", sa.BigInteger()),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "access_group_id"], ["access_group.org_id", "access_group.id"], name=op.f("fk_store_access_group")
        ),
        sa.ForeignKeyConstraint(["org_id", "concept_id"], ["concept.org_id", "concept.id"], name=op.f("fk_store_concept")),
        sa.ForeignKeyConstraint(["org_id", "zone_id"], ["zone.org_id", "zone.id"], name=op.f("fk_store_zone")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_store")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_store_code", "store", ["org_id", "code"], unique=True)
    op.create_table(
        "till",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "store_id"], ["store.org_id", "store.id"], name=op.f("fk_till_store")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_till")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_till_store", "till", ["org_id", "store_id"], unique=False)
    op.create_index("uq_till_code", "till", ["org_id", "code"], unique=True)
    op.create_table(
        "attribution_lookup",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("till_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id", "till_id"], ["till.org_id", "till.id"], name=op.f("fk_attribution_lookup_till")),
        sa.PrimaryKeyConstraint("org_id", "type", "value", name=op.f("pk_attribution_lookup")),
        sqlite_with_rowid=False,
    )


def _credentials() -> None:
    op.create_table(
        "client",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("till_id", sa.BigInteger()),
        sa.Column("falls_back_to_till", sa.Boolean(), nullable=False),
        sa.Column("access_group_id", sa.BigInteger()),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("token_ttl_s", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "access_group_id"], ["access_group.org_id", "access_group.id"], name=op.f("fk_client_access_group")
        ),
        sa.ForeignKeyConstraint(["org_id", "till_id"], ["till.org_id", "till.id"], name=op.f("fk_client_till")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_client")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_client_key", "client", ["org_id", "key"], unique=True)
    op.create_table(
        "console_user",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("role IN ('admin', 'marketer', 'support', 'auditor')", name=op.f("ck_console_user_role")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_console_user")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_console_user_email", "console_user", ["org_id", "email"], unique=True)


def _customers() -> None:
    op.create_table(
        "customer",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("mobile", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("external_id", sa.Text()),
        sa.Column("card_number", sa.Text()),
        sa.Column("card_external_id", sa.Text()),
        sa.Column("is_loyalty", sa.Boolean(), nullable=False),
        sa.Column("fraud_status", sa.String(length=12), nullable=False),
        sa.Column("status_label", sa.Text(), nullable=False),
        sa.Column("transaction_count", sa.Integer(), nullable=False),
        sa.Column("registered_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("merged_into_id", sa.BigInteger()),
        sa.Column("deleted_ms", sa.BigInteger()),
        sa.Column("custom_fields", sa.Text()),
        sa.CheckConstraint(
            "fraud_status IN ('NONE', 'MARKED', 'CONFIRMED', 'RECONFIRMED', 'NOT_FRAUD', 'INTERNAL')",
            name=op.f("ck_customer_fraud_status"),
        ),
        sa.CheckConstraint("transaction_count >= 0", name=op.f("ck_customer_transaction_count")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_customer")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_customer_card_external_id", "customer", ["org_id", "card_external_id"], unique=True)
    op.create_index("uq_customer_card_number", "customer", ["org_id", "card_number"], unique=True)
    op.create_index("uq_customer_email", "customer", ["org_id", "email"], unique=True)
    op.create_index("uq_customer_external_id", "customer", ["org_id", "external_id"], unique=True)
    op.create_index("uq_customer_mobile", "customer", ["org_id", "mobile"], unique=True)
    op.create_table(
        "status_label",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("blocks_issue", sa.Boolean(), nullable=False),
        sa.Column("blocks_redemption", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "label", name=op.f("pk_status_label")),
        sqlite_with_rowid=False,
    )
