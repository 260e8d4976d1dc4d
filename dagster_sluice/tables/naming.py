"""Names that the heavy and the light half of this slice share."""

from dagster_sluice.contracts import Contract

__all__ = ["CONFORMS", "CORRELATION_TAG", "masked_columns"]

CONFORMS = "conforms"
"""The check that every table has: each value is of its column's type."""

CORRELATION_TAG = "sluice/correlation_id"
"""The tag of a run that says what caused it."""

_MASKED = {"pii", "confidential", "restricted", "sensitive", "secret", "personal"}


def masked_columns(contract: Contract) -> set[str]:
    """The columns whose values no report may show, by their classification."""
    return {column.name for column in contract.columns if (column.classification or "").lower() in _MASKED}
