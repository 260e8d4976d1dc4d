"""The manifests of dbt projects as they were last deployed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = "sluice_state"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "dbt_manifests",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("environment", sa.Text, primary_key=True),
        sa.Column("dbt_version", sa.Text, nullable=False),
        sa.Column("nodes", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("deployed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        schema=SCHEMA,
        comment="What was last deployed of each dbt project to each environment; content is its manifest, JSON by zlib.",
    )
