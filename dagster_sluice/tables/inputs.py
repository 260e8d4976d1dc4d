"""What a table's function asks for by its parameters: its context, resources, and published tables."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from dagster_sluice.contracts import Contract, Reference
from dagster_sluice.errors import Culprit, TableError
from dagster_sluice.tables.context import TableContext
from dagster_sluice.warehouse import Address, Warehouse

__all__ = ["Needs", "Reader", "address_of", "frame_kind", "framed", "needs_of"]


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A published table that a function reads.

    Attributes:
        parameter: The function's parameter.
        key: The asset.
        kind: What the parameter is given: ``"arrow"``, ``"pandas"`` or ``"polars"``.
    """

    parameter: str
    key: dg.AssetKey
    kind: str


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a function asks for.

    Attributes:
        context: The parameter that takes the `TableContext`, if any.
        resources: Parameters that take resources.
        upstreams: Parameters that take published tables.
    """

    context: str | None
    resources: tuple[str, ...]
    upstreams: tuple[Upstream, ...]


def address_of(key: dg.AssetKey) -> Address:
    """Where the table of an asset lives: the last two parts of its key, ``public`` for a key of one part."""
    path = key.path
    return Address(schema=path[-2] if len(path) > 1 else "public", table=path[-1])


def needs_of(function: Callable[..., Any], key: dg.AssetKey, given: Mapping[str, dg.AssetKey]) -> Needs:
    """Read a function's signature.

    A parameter named ``context`` or annotated `TableContext` is the context; one annotated with a resource type is a
    resource; every other one is a published table: that of ``given``, or the asset of that name beside this one.

    Raises:
        TableError: A parameter cannot be filled by name, an annotation is unknown, or ``given`` names no parameter
            that takes a table.
    """
    try:
        hints = typing.get_type_hints(function)
        marked = typing.get_type_hints(function, include_extras=True)
    except NameError as failure:
        raise TableError(
            f"The function of {key.to_user_string()} has an annotation that cannot be read.",
            culprits=[Culprit(where=getattr(function, "__qualname__", repr(function)), problem=f"{failure}.")],
            mend="Import the name where the module is loaded, not under TYPE_CHECKING.",
        ) from failure
    parameters = inspect.signature(function).parameters
    culprits = [
        Culprit(where=f"ins[{name!r}]", problem="is not a parameter of the function.")
        for name in given
        if name not in parameters
    ]
    context = None
    resources = []
    upstreams = []
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            culprits.append(Culprit(where=str(parameter), problem="cannot be filled.", mend="Name each input."))
            continue
        annotation = hints.get(name)
        if name == "context" or annotation is TableContext:
            context = name
        elif _is_resource(marked.get(name)):
            resources.append(name)
        else:
            kind = frame_kind(annotation)
            if kind is None:
                problem = f"is annotated {annotation}, which is neither a frame nor a resource."
                culprits.append(Culprit(where=f"parameter {name!r}", problem=problem))
                continue
            beside = dg.AssetKey([*key.path[:-1], name])
            upstreams.append(Upstream(parameter=name, key=given.get(name, beside), kind=kind))
    culprits.extend(
        Culprit(where=f"ins[{name!r}]", problem="is not a table but the context or a resource.")
        for name in given
        if name == context or name in resources
    )
    culprits.extend(
        Culprit(where=f"ins[{upstream.parameter!r}]", problem=f"is {upstream.key!r}, not an AssetKey.")
        for upstream in upstreams
        if not isinstance(upstream.key, dg.AssetKey)
    )
    if culprits:
        raise TableError(f"The function of {key.to_user_string()} asks for what it cannot get.", culprits=culprits)
    return Needs(context=context, resources=tuple(resources), upstreams=tuple(upstreams))


def _is_resource(annotation: Any) -> bool:
    from dagster._config.pythonic_config import ConfigurableResourceFactory

    # ResourceParam[X] is Annotated with a marker that has no public name of its own.
    if any("resource" in str(marker).lower() for marker in getattr(annotation, "__metadata__", ())):
        return True
    return isinstance(annotation, type) and issubclass(annotation, ConfigurableResourceFactory)


def frame_kind(annotation: Any) -> str | None:
    """What a parameter of this annotation is given: ``"arrow"``, ``"pandas"`` or ``"polars"``; ``None`` for neither."""
    if annotation is None or annotation is inspect.Parameter.empty or annotation is Any:
        return "arrow"
    origin = f"{getattr(annotation, '__module__', '')}.{getattr(annotation, '__qualname__', '')}"
    for kind, package in (("pandas", "pandas."), ("polars", "polars."), ("arrow", "pyarrow.")):
        if origin.startswith(package):
            return kind
    return None


class Reader:
    """Reads published tables for the batches of one step; what is not partitioned is read once.

    Args:
        warehouse: Where they are published.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._whole: dict[Address, Any] = {}
        self._sets: dict[Reference, list[Any]] = {}

    def read(self, upstream: Upstream, partition: str | None) -> Any:
        """The upstream's partition of this key, or the whole of an upstream that is not partitioned.

        Raises:
            TableError: Nothing is published there.
        """
        address = address_of(upstream.key)
        if address not in self._whole:
            published = self._warehouse.current(address)
            if not published:
                raise TableError(f"Nothing is published in {address}.", mend="Materialize it first.")
            if None not in published and partition is not None:
                if partition not in published:
                    raise TableError(
                        f"{address} has no published partition {partition}.",
                        mend="Materialize that one first; a blocked one must pass its gate.",
                    )
                return framed(self._warehouse.read(address, partitions=[partition]), upstream.kind)
            self._whole[address] = self._warehouse.read(address)
        return framed(self._whole[address], upstream.kind)

    def sets(self, contract: Contract, schema: str) -> Mapping[Reference, Sequence[Any]]:
        """The values of each set in another table that a contract names.

        Args:
            contract: The contract.
            schema: The schema in which a table named without one is sought.

        Raises:
            TableError: Such a table is not published.
        """
        wanted = {reference for item in contract.expectations for reference in item.references().values()}
        for reference in wanted - self._sets.keys():
            prefix, _, name = reference.table.rpartition(".")
            self._sets[reference] = self._warehouse.values(
                Address(schema=prefix or schema, table=name), reference.column
            )
        return {reference: self._sets[reference] for reference in wanted}


def framed(rows: Any, kind: str) -> Any:
    """Rows as a frame of that kind, without the wrapping in which a driver hands its values over."""
    import pyarrow as pa

    from dagster_sluice.tables.inplace import native

    rows = pa.table({name: native(rows.column(name)) for name in rows.column_names})
    if kind == "pandas":
        return rows.to_pandas()
    if kind == "polars":
        import polars

        return polars.from_arrow(rows)
    return rows
