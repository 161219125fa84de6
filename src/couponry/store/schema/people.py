"""Who works in the console, and what they did."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Text

from couponry.store.schema.table import belongs_to, org_id, org_table, own_id

# `token_hash` is SHA-256 of what the browser's cookie holds, so that nobody signs in with a stolen database.
console_session = org_table(
    "console_session",
    org_id(),
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Index("ix_console_session_user", "org_id", "user_id"),
    belongs_to("console_user", "user_id"),
)
# Append-only: triggers refuse to change or delete a row.
audit = org_table(
    "audit",
    org_id(),
    own_id(),
    Column("done_ms", BigInteger, nullable=False),
    Column("user_id", BigInteger),
    Column("actor", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject_kind", String(16), nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("request_id", Text, nullable=False),
    Index("ix_audit_subject", "org_id", "subject_kind", "subject_id", "id"),
    Index("ix_audit_user", "org_id", "user_id", "id"),
)
