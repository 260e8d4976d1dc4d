"""A dbt whose models are built elsewhere: ``python -m dagster_sluice.dbt.runner build …``, in a process of its own.

The project is parsed as it is; then the nodes that ``SLUICE_DBT_STAGED`` (a JSON file: new schema by node id) names get
another schema, and dbt runs its command on that manifest. Whatever refers to them finds them there, tests included; all
else stays where it is. Handing a manifest to ``dbtRunner`` is dbt's documented way to save the parse.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["STAGED", "main"]

STAGED = "SLUICE_DBT_STAGED"

_UNHANDLED = 2


def main(arguments: list[str]) -> int:
    """Run a dbt command; its exit code, as dbt gives it: 0 all right, 1 something failed, 2 it could not run."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from dbt.cli.main import dbtRunner

    parsed = dbtRunner().invoke(["parse"])
    if parsed.exception is not None or not parsed.success:
        return _UNHANDLED
    manifest: Any = parsed.result
    staged = json.loads(Path(os.environ[STAGED]).read_text(encoding="utf-8"))
    for unique_id, schema in staged.items():
        node = manifest.nodes[unique_id]
        before, node.schema = node.schema, schema
        if node.relation_name:
            node.relation_name = _moved(node.relation_name, before, schema, node.alias)
    manifest.rebuild_ref_lookup()
    ran = dbtRunner(manifest=manifest).invoke(arguments)
    if ran.exception is not None:
        sys.stdout.write(f"{ran.exception}\n")
        return _UNHANDLED
    return 0 if ran.success else 1


def _moved(relation: str, before: str, after: str, alias: str) -> str:
    """A relation as dbt writes it, in another schema; its database may have the same name as its schema."""
    for end in (_quoted(alias), alias):
        for start, new in ((_quoted(before), _quoted(after)), (before, _quoted(after))):
            if relation.endswith(f"{start}.{end}"):
                return f"{relation.removesuffix(f'{start}.{end}')}{new}.{end}"
    return relation


def _end_with_parent() -> None:
    """End when who started this process has: a build that nobody waits for must not write into the next one's schema.

    Standard input is a pipe whose other end the parent holds for as long as it lives, and never writes to.
    """
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(_UNHANDLED)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
