"""The warehouse as a Dagster resource."""

import dagster as dg
from pydantic import Field, PrivateAttr

from dagster_sluice.warehouse import Warehouse

__all__ = ["WarehouseResource"]


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The Postgres warehouse into which tables are published.

    Without a ``url`` it is the one that ``SLUICE_DATABASE_URL`` names, or else the embedded server, which starts when
    it is first needed.
    """

    url: str | None = Field(default=None, description="postgresql://… ; a secret belongs in an environment variable.")

    _opened: Warehouse | None = PrivateAttr(default=None)

    @property
    def address(self) -> str:
        """The URL in force, with its password: for drivers, not for logs."""
        from dagster_sluice.embedded import database_url

        return self.url or database_url()

    def open(self) -> Warehouse:
        """The warehouse; the same object for the life of the resource."""
        if self._opened is None:
            from dagster_sluice.warehouse.postgres import PostgresWarehouse

            self._opened = PostgresWarehouse(self.address)
        return self._opened

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002, D102 (Dagster's)
        if self._opened is not None:
            self._opened.close()
            self._opened = None
