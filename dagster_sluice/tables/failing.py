"""An error of ours as Dagster tells it: the step fails with its words, and with its kind for whoever learns from it."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from dagster_sluice.errors import SluiceError

__all__ = ["ERROR", "as_failure", "failures_told"]

ERROR = "sluice/error"
"""The metadata of a failure that names the kind of error."""


def as_failure(failure: SluiceError, *, allow_retries: bool | None = None) -> dg.Failure:
    """The failure of a step that an error of ours is."""
    return dg.Failure(description=str(failure), metadata={ERROR: type(failure).__name__}, allow_retries=allow_retries)


@contextmanager
def failures_told(*, allow_retries: bool | None = None) -> Iterator[None]:
    """Let errors of ours within a step end it as failures.

    Args:
        allow_retries: ``False`` where a retry would end the same way; by default the retry policy decides.

    Raises:
        dagster.Failure: For a `SluiceError`.
    """
    try:
        yield
    except SluiceError as failure:
        raise as_failure(failure, allow_retries=allow_retries) from failure
