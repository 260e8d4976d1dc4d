"""Backfills: find the gaps, plan within a budget, launch, learn from failures."""
