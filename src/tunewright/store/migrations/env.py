"""Runs migrations on the connection that `database.upgrade` hands over, inside its transaction.

Alembic runs this file with a context that has a `config`; merely imported, it does nothing.
"""

from alembic import context

from tunewright.store.tables import metadata

if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
