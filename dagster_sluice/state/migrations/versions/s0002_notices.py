"""Notices of late partitions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SCHEMA = "sluice_state"


def _moment(name: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "notices",
        sa.Column("notifier", sa.Text, primary_key=True),
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("deadline", sa.Text, primary_key=True),
        sa.Column("partition", sa.Text, primary_key=True),
        _moment("late_since", nullable=False),
        _moment("told_at"),
        _moment("escalated_at"),
        _moment("recovered_at"),
        sa.Column("claim", sa.Text),
        sa.Column("claimed_by", sa.Text),
        _moment("claimed_at"),
        schema=SCHEMA,
        comment="What each notifier was told of late partitions. A claim is a notice on its way.",
    )
    op.create_index(
        "notices_open",
        "notices",
        ["notifier", "asset"],
        schema=SCHEMA,
        postgresql_where=sa.text("recovered_at IS NULL"),
    )
