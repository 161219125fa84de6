"""The console: sessions, and an audit log that nobody can change.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_second_factors()
    _make_sessions()
    _make_audit()
    _make_audit_final()
    _make_approvals()
    _make_drafts()
    _make_launches()
    _make_care()


def _make_second_factors() -> None:
    op.add_column("console_user", sa.Column("must_change", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "second_factor",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("step", sa.BigInteger()),
        sa.Column("recovery", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "user_id"], ["console_user.org_id", "console_user.id"], name=op.f("fk_second_factor_console_user")
        ),
        sa.PrimaryKeyConstraint("org_id", "user_id", name=op.f("pk_second_factor")),
        sqlite_with_rowid=False,
    )


def _make_sessions() -> None:
    op.create_table(
        "console_session",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "user_id"], ["console_user.org_id", "console_user.id"], name=op.f("fk_console_session_console_user")
        ),
        sa.PrimaryKeyConstraint("org_id", "token_hash", name=op.f("pk_console_session")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_console_session_user", "console_session", ["org_id", "user_id"], unique=False)


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_audit")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_audit_subject", "audit", ["org_id", "subject_kind", "subject_id", "id"], unique=False)
    op.create_index("ix_audit_user", "audit", ["org_id", "user_id", "id"], unique=False)
    op.create_index("ix_audit_action", "audit", ["org_id", "action", "id"], unique=False)


def _make_approvals() -> None:
    op.create_table(
        "approval",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.BigInteger(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("decided_by", sa.BigInteger()),
        sa.Column("decided_ms", sa.BigInteger()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("carried_ms", sa.BigInteger()),
        sa.CheckConstraint("state IN ('pending', 'approved', 'refused', 'withdrawn', 'expired')", name=op.f("ck_approval_state")),
        sa.CheckConstraint("decided_by <> asked_by", name=op.f("ck_approval_second_person")),
        sa.CheckConstraint("(state IN ('approved', 'refused')) = (decided_by IS NOT NULL)", name=op.f("ck_approval_decided")),
        sa.CheckConstraint("carried_ms IS NULL OR state = 'approved'", name=op.f("ck_approval_carried")),
        sa.ForeignKeyConstraint(
            ["org_id", "asked_by"], ["console_user.org_id", "console_user.id"], name=op.f("fk_approval_console_user")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_approval")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_approval_state", "approval", ["org_id", "state", "id"], unique=False)
    op.create_index("ix_approval_subject", "approval", ["org_id", "subject_kind", "subject_id", "id"], unique=False)


def _make_care() -> None:
    """What Member Care counts people's actions by, and finds bills and changed expiries with."""
    op.create_table(
        "tally",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.CheckConstraint("count >= 0", name=op.f("ck_tally_count")),
        sa.PrimaryKeyConstraint("org_id", "user_id", "kind", "since_ms", name=op.f("pk_tally")),
        sqlite_with_rowid=False,
    )
    for name, table, columns, condition in (
        ("ix_redemption_bill", "redemption", ["org_id", "transaction_number", "id"], "transaction_number <> ''"),
        ("ix_outbox_redated", "outbox", ["org_id", "subject_id", "id"], "event = 'CouponExpiryChange'"),
    ):
        where = sa.text(condition)
        op.create_index(name, table, columns, unique=False, postgresql_where=where, sqlite_where=where)


def _make_drafts() -> None:
    is_open = sa.text("is_open")
    op.create_table(
        "campaign_draft",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "owner_id"], ["console_user.org_id", "console_user.id"], name=op.f("fk_campaign_draft_console_user")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_campaign_draft")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_campaign_draft_open",
        "campaign_draft",
        ["org_id", "id"],
        unique=False,
        postgresql_where=is_open,
        sqlite_where=is_open,
    )


def _make_launches() -> None:
    is_scheduled = sa.text("state = 'scheduled'")
    op.create_table(
        "launch",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("draft_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger()),
        sa.Column("series_id", sa.BigInteger()),
        sa.Column("due_ms", sa.BigInteger()),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("job_id", sa.BigInteger()),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        sa.Column("created_by_email", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger()),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('asked', 'scheduled', 'launched', 'failed', 'cancelled')", name=op.f("ck_launch_state")),
        sa.CheckConstraint(
            "state NOT IN ('scheduled', 'launched') OR campaign_id IS NOT NULL", name=op.f("ck_launch_has_campaign")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "draft_id"], ["campaign_draft.org_id", "campaign_draft.id"], name=op.f("fk_launch_campaign_draft")
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_launch")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_launch_draft", "launch", ["org_id", "draft_id"], unique=True)
    op.create_index(
        "ix_launch_due",
        "launch",
        ["org_id", "due_ms", "id"],
        unique=False,
        postgresql_where=is_scheduled,
        sqlite_where=is_scheduled,
    )
    op.create_index("ix_launch_campaign", "launch", ["org_id", "campaign_id", "id"], unique=False)


def _make_audit_final() -> None:
    """A trigger each against changing and deleting what was written."""
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_is_final_{act.lower()} BEFORE {act} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
            )
        # INSERT OR REPLACE deletes without a word.
        op.execute(
            "CREATE TRIGGER audit_is_final_insert BEFORE INSERT ON audit "
            "WHEN EXISTS (SELECT 1 FROM audit WHERE org_id = NEW.org_id AND id = NEW.id) "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION audit_is_final() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_final()"
    )
