"""Long work: what is to be done, how far it has come, and the files that come in and go out with it."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, String, Text

from couponry.store.schema.table import belongs_to, org_id, org_table, own_id

job = org_table(
    "job",
    org_id(),
    own_id(),
    Column("kind", String(16), nullable=False),
    Column("series_id", BigInteger),
    Column("request", Text, nullable=False),
    Column("state", String(9), nullable=False),
    Column("run", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("cursor", Text, nullable=False),
    Column("total", BigInteger),
    Column("done", BigInteger, nullable=False),
    Column("ok", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("by_code", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("worked_ms", BigInteger, nullable=False),
    CheckConstraint("state IN ('queued', 'running', 'paused', 'finished', 'failed', 'cancelled')", name="state"),
    CheckConstraint("ok >= 0 AND failed >= 0 AND ok + failed <= done", name="counts"),
    Index("ix_job_series", "org_id", "series_id", "kind", "id"),
)
# Of a file that is still being written, `size_bytes` are committed; what follows them is to be written again.
job_file = org_table(
    "job_file",
    org_id(),
    Column("name", String(255), primary_key=True),
    Column("job_id", BigInteger, nullable=False),
    Column("role", String(8), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    CheckConstraint("size_bytes >= 0", name="size_bytes"),
    Index("uq_job_file_role", "org_id", "job_id", "role", unique=True),
    belongs_to("job", "job_id"),
)
# A file as it was sent; `sent_name` is what its sender calls it. Its bytes lie in the folder of files, under its id. One that
# lists customers says by what (`core.audience`), and in which column.
upload = org_table(
    "upload",
    org_id(),
    own_id(),
    Column("sent_name", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", BigInteger),
    Column("identifier", String(16)),
    Column("identifier_column", Integer),
)
