"""The reference platform's wiring: environment → resources."""

from dagster_sluice import WarehouseResource
from resources.feed import FlightsFeed

__all__ = ["RESOURCES"]

RESOURCES = {
    "warehouse": WarehouseResource(),
    "feed": FlightsFeed(),
}
