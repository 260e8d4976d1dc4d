"""The reference platform's tables, by subject."""
