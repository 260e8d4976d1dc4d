"""The warehouse as a Dagster resource."""

import dagster as dg
from pydantic import Field, PrivateAttr

from dagster_sluice.warehouse import Warehouse
from dagster_sluice.warehouse.opening import LOCK_TIMEOUT, NATIVE_ROWS

__all__ = ["WarehouseResource"]


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The warehouse into which tables are published: a Postgres database or a DuckDB file.

    Without a ``url`` it is the one that ``SLUICE_WAREHOUSE_URL`` names, or else the database of ``SLUICE_DATABASE_URL``,
    or else the embedded server, which starts when it is first needed. The `sluice` command finds it in the same way, so
    what the environment names need not be said here.

    A DuckDB file is ``duckdb:////absolute/path`` or ``duckdb:///path/from/the/working/directory``. It is made by the first
    publish, and open only while somebody is at work in it; ``?lock_timeout=60`` says how many seconds to wait for others.
    """

    url: str | None = Field(
        default=None,
        description="postgresql://… or duckdb:////path/to/file.duckdb; a secret belongs in an environment variable.",
    )

    lock_timeout: float = Field(
        default=LOCK_TIMEOUT,
        ge=0,
        description="Postgres: seconds for which a publish waits for who uses its table by hand; readers never wait.",
    )
    native_rows: int | None = Field(
        default=NATIVE_ROWS,
        ge=0,
        description="Postgres: a new partitioned table whose first batch has so many rows gets native partitions."
        " null: none does.",
    )
    swap: bool = Field(
        default=False,
        description="Postgres: replace a native partition as a whole, which is quicker; see docs/how-to/loading.md.",
    )
    reports: str | None = Field(
        default="",
        description="Directory for the HTML reports; by default sluice/reports in Dagster's own storage. null: none.",
    )
    reports_kept: int = Field(default=10, description="So many reports of each partition are kept, the latest.")
    reports_url: str | None = Field(
        default=None, description="Where a web server serves that directory, if one does: https://… ; for links."
    )

    _opened: Warehouse | None = PrivateAttr(default=None)

    @property
    def address(self) -> str:
        """The URL in force, with its password: for drivers, not for logs."""
        from dagster_sluice.warehouse.opening import warehouse_url

        return warehouse_url(self.url)

    def open(self) -> Warehouse:
        """The warehouse; the same object for the life of the resource."""
        if self._opened is None:
            from dagster_sluice.warehouse.opening import open_warehouse

            self._opened = open_warehouse(
                self.url, lock_timeout=self.lock_timeout, native_rows=self.native_rows, swap=self.swap
            )
        return self._opened

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002, D102 (Dagster's)
        if self._opened is not None:
            self._opened.close()
            self._opened = None
