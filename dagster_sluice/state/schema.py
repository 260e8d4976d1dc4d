"""The tables of our own schema, as they are now; ``migrations/`` tells how they came to be."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

__all__ = ["SCHEMA", "attempts", "circuits", "claims", "dbt_manifests", "metadata", "notices", "plans", "requests"]

SCHEMA = "sluice_state"

metadata = sa.MetaData(schema=SCHEMA)


def _moment(name: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, sa.TIMESTAMP(timezone=True), nullable=nullable)


plans = sa.Table(
    "plans",
    metadata,
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
    comment="One row per plan. It is open until it is settled: its partitions belong to nobody else.",
)
sa.Index("plans_night", plans.c.planner, plans.c.night)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("plan_id", sa.BigInteger, sa.ForeignKey(plans.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("asset", sa.Text, primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("reasons", sa.Integer, nullable=False),
    sa.Column("inputs", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    comment="The partitions of each plan. outcome is NULL while the plan is open; then done, failed or undone.",
)
# Two planners at once: the second one's insert waits for the first one's commit, and then does nothing.
sa.Index("claims_open", claims.c.asset, claims.c.partition, unique=True, postgresql_where=claims.c.outcome.is_(None))

attempts = sa.Table(
    "attempts",
    metadata,
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
    comment="Partitions whose last attempts failed; a success removes the row.",
)

circuits = sa.Table(
    "circuits",
    metadata,
    sa.Column("asset", sa.Text, primary_key=True),
    sa.Column("signature", sa.Text, nullable=False),
    sa.Column("partitions", JSONB, nullable=False),
    _moment("opened_at"),
    comment="How the last partitions of a table ended; open since opened_at.",
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("asset", sa.Text, primary_key=True),
    sa.Column("partition", sa.Text, primary_key=True),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    _moment("requested_at", nullable=False),
    comment="Partitions that a person asked for; gone once they are done.",
)

notices = sa.Table(
    "notices",
    metadata,
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
    comment="What each notifier was told of late partitions. A claim is a notice on its way.",
)
sa.Index("notices_open", notices.c.notifier, notices.c.asset, postgresql_where=notices.c.recovered_at.is_(None))

dbt_manifests = sa.Table(
    "dbt_manifests",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("dbt_version", sa.Text, nullable=False),
    sa.Column("nodes", sa.Integer, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    _moment("deployed_at", nullable=False),
    comment="What was last deployed of each dbt project to each environment; content is its manifest, JSON by zlib.",
)
