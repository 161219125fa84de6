"""How Alembic runs the revisions: on the connection and in the transaction that `store.migrate` hands in, and in no other way."""

from alembic import context

from couponry.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # The caller's transaction holds it all on both databases; Alembic believes that SQLite could not undo a CREATE TABLE.
    transactional_ddl=True,
)
context.run_migrations()
