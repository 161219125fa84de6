"""Campaigns in the making, and their launches."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, String, Text, text

from couponry.store.schema.table import belongs_to, org_id, org_table, own_id

_IS_OPEN = text("is_open")
_IS_SCHEDULED = text("state = 'scheduled'")
# What was filled in so far (`core.launching`), as JSON. `version` counts its changes, so that of two people who change it at once
# the second is told. One that was launched or removed is not open.
campaign_draft = org_table(
    "campaign_draft",
    org_id(),
    own_id(),
    Column("owner_id", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_campaign_draft_open", "org_id", "id", postgresql_where=_IS_OPEN, sqlite_where=_IS_OPEN),
    belongs_to("console_user", "owner_id"),
)
# One for each draft, so that nothing launches it twice. `request` is the draft as it was; `job_id` what issues its coupons.
launch = org_table(
    "launch",
    org_id(),
    own_id(),
    Column("draft_id", BigInteger, nullable=False),
    Column("campaign_id", BigInteger),
    Column("series_id", BigInteger),
    Column("due_ms", BigInteger),
    Column("state", String(9), nullable=False),
    Column("request", Text, nullable=False),
    Column("job_id", BigInteger),
    Column("created_by", BigInteger, nullable=False),
    Column("created_by_email", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger),
    Column("problem", Text, nullable=False),
    CheckConstraint("state IN ('asked', 'scheduled', 'launched', 'failed', 'cancelled')", name="state"),
    CheckConstraint("state NOT IN ('scheduled', 'launched') OR campaign_id IS NOT NULL", name="has_campaign"),
    Index("uq_launch_draft", "org_id", "draft_id", unique=True),
    Index("ix_launch_due", "org_id", "due_ms", "id", postgresql_where=_IS_SCHEDULED, sqlite_where=_IS_SCHEDULED),
    Index("ix_launch_campaign", "org_id", "campaign_id", "id"),
    belongs_to("campaign_draft", "draft_id"),
)
