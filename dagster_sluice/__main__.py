"""``python -m dagster_sluice`` is ``sluice``."""

from dagster_sluice.cli import main

if __name__ == "__main__":
    main()
