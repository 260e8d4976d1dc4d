"""What Alembic runs: on the connection it is given, in our schema."""

from alembic import context

from dagster_sluice.state.schema import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()
