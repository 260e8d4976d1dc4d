"""``python -m benchmarks NAME [options]``; without a name it lists what there is."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def main() -> int:
    names = sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name[0] != "_"
    )
    chosen = sys.argv[1:2]
    if chosen and chosen[0] in names:
        return int(importlib.import_module(f"benchmarks.{chosen[0]}").main(sys.argv[2:]) or 0)
    print("python -m benchmarks " + " | ".join(names))
    return 2 if chosen else 0


if __name__ == "__main__":
    sys.exit(main())
