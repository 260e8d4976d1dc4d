"""Flights from New York: landed, conformed, enriched, published; then dbt marts."""
