"""What a table's content is, as a hash that does not depend on the order of its rows."""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa

from dagster_sluice.gates.duckdb.session import registered

__all__ = ["content_hash"]


def content_hash(rows: pa.Table) -> str:
    """Hash (32 hex digits) of the multiset of rows, with the names and types of their columns.

    Each row is hashed by DuckDB (64 bits); the hashes are summed, and a second hash of each is combined by exclusive
    or, so that neither order nor chunking counts but repeats do. DuckDB may change its hash between versions: then
    unchanged data is published once more, which does no harm.
    """
    shape = json.dumps([[field.name, str(field.type)] for field in rows.schema])
    # Not every name can be a name in SQL; here the places stand for them.
    columns = [f"c{place}" for place in range(rows.num_columns)]
    figures = None
    if rows.num_rows and rows.num_columns:
        with registered("content", rows.rename_columns(columns)) as session:
            (figures,) = session.execute(
                "SELECT count(*), sum(h::HUGEINT)::VARCHAR, bit_xor(hash(h, 'sluice'))"  # noqa: S608 (names made here)
                f" FROM (SELECT hash({', '.join(columns)}) AS h FROM content)"
            ).fetchall()
    return hashlib.sha256(f"{shape}|{figures}".encode()).hexdigest()[:32]
