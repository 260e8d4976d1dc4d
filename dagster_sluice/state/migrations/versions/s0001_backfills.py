"""Plans and claims, attempts and circuits, requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

SCHEMA = "sluice_state"


def _moment(name: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "plans",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("planner", sa.Text, nullable=False),
        sa.Column("backfill_id", sa.Text, nullable=False, unique=True),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("summary", JSONB, nullable=False),
        _moment("night", nullable=False),
        _moment("made_at", nullable=False),
        _moment("launched_at"),
        _moment("settled_at"),
        schema=SCHEMA,
        comment="One row per plan. It is open until it is settled: its partitions belong to nobody else.",
    )
    op.create_index("plans_night", "plans", ["planner", "night"], schema=SCHEMA)
    op.create_table(
        "claims",
        sa.Column("plan_id", sa.BigInteger, sa.ForeignKey(f"{SCHEMA}.plans.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("partition", sa.Text, primary_key=True),
        sa.Column("reasons", sa.Integer, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        schema=SCHEMA,
        comment="The partitions of each plan. outcome is NULL while the plan is open; then done, failed or undone.",
    )
    op.create_index(
        "claims_open",
        "claims",
        ["asset", "partition"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("outcome IS NULL"),
    )
    op.create_table(
        "attempts",
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("partition", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        _moment("failed_at", nullable=False),
        _moment("next_at", nullable=False),
        _moment("parked_at"),
        schema=SCHEMA,
        comment="Partitions whose last attempts failed; a success removes the row.",
    )
    op.create_table(
        "circuits",
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("partitions", JSONB, nullable=False),
        _moment("opened_at"),
        schema=SCHEMA,
        comment="How the last partitions of a table ended; open since opened_at.",
    )
    op.create_table(
        "requests",
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("partition", sa.Text, primary_key=True),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        _moment("requested_at", nullable=False),
        schema=SCHEMA,
        comment="Partitions that a person asked for; gone once they are done.",
    )
