"""Jobs, and the files that come in and go out with them.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("series_id", sa.BigInteger()),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger()),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("by_code", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("worked_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'paused', 'finished', 'failed', 'cancelled')", name=op.f("ck_job_state")
        ),
        sa.CheckConstraint("ok >= 0 AND failed >= 0 AND ok + failed <= done", name=op.f("ck_job_counts")),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_job")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_job_series", "job", ["org_id", "series_id", "kind", "id"], unique=False)
    op.create_table(
        "job_file",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_job_file_size_bytes")),
        sa.ForeignKeyConstraint(["org_id", "job_id"], ["job.org_id", "job.id"], name=op.f("fk_job_file_job")),
        sa.PrimaryKeyConstraint("org_id", "name", name=op.f("pk_job_file")),
        sqlite_with_rowid=False,
    )
    op.create_index("uq_job_file_role", "job_file", ["org_id", "job_id", "role"], unique=True)
    op.create_table(
        "upload",
        sa.Column("org_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sent_name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.BigInteger()),
        sa.Column("identifier", sa.String(length=16)),
        sa.Column("identifier_column", sa.Integer()),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_upload")),
        sqlite_with_rowid=False,
    )
    # With the id, so that an export can go on among redemptions of one instant, of which an import may bring millions.
    op.drop_index("ix_redemption_series", "redemption")
    op.create_index("ix_redemption_series", "redemption", ["org_id", "series_id", "redeemed_ms", "id"], unique=False)
