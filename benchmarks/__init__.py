"""The comparisons we publish, runnable: ``python -m benchmarks gate``."""
