"""Who works in the console, and what they did."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, String, Text

from couponry.store.schema.table import belongs_to, org_id, org_table, own_id

# The secret of an authenticator app, sealed. It counts once `step` is set: the time step of the last code that was used, for each
# counts once. `recovery` is JSON: hashes of the codes that are left for a lost phone.
second_factor = org_table(
    "second_factor",
    org_id(),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("step", BigInteger),
    Column("recovery", Text, nullable=False),
    belongs_to("console_user", "user_id"),
)
# `token_hash` is SHA-256 of what the browser's cookie holds, so that nobody signs in with a stolen database.
console_session = org_table(
    "console_session",
    org_id(),
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("browser", Text, nullable=False),
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
    Index("ix_audit_action", "org_id", "action", "id"),
)
# What a second person must allow. `request` is JSON for whoever carries it out; `amount` is null where it has no bound;
# `carried_ms` says when that was done, which is with the decision wherever it is a row itself.
approval = org_table(
    "approval",
    org_id(),
    own_id(),
    Column("kind", String(16), nullable=False),
    Column("subject_kind", String(16), nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("amount", BigInteger),
    Column("summary", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("asked_by", BigInteger, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("state", String(9), nullable=False),
    Column("decided_by", BigInteger),
    Column("decided_ms", BigInteger),
    Column("note", Text, nullable=False),
    Column("carried_ms", BigInteger),
    CheckConstraint("state IN ('pending', 'approved', 'refused', 'withdrawn', 'expired')", name="state"),
    CheckConstraint("decided_by <> asked_by", name="second_person"),
    CheckConstraint("(state IN ('approved', 'refused')) = (decided_by IS NOT NULL)", name="decided"),
    CheckConstraint("carried_ms IS NULL OR state = 'approved'", name="carried"),
    Index("ix_approval_state", "org_id", "state", "id"),
    Index("ix_approval_subject", "org_id", "subject_kind", "subject_id", "id"),
    belongs_to("console_user", "asked_by"),
)
# How often somebody has done something since `since_ms`: look-ups in a minute, goodwill coupons in a day, a form once. The
# statement that counts holds the limit (`store/tallies.py`); of a person, what is older than a day is forgotten.
tally = org_table(
    "tally",
    org_id(),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(64), primary_key=True),
    Column("since_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    CheckConstraint("count >= 0", name="count"),
)
