"""The public surface, spelled out by hand: a name that comes or goes does so on purpose."""

import importlib
import pkgutil

import pytest

import dagster_sluice

SURFACE = {
    "dagster_sluice": {
        "Column",
        "Contract",
        "Expectation",
        "Policy",
        "Severity",
        "SluiceError",
        "TableContext",
        "Verdict",
        "WarehouseIOManager",
        "WarehouseResource",
        "audit",
        "gate",
        "load_contract",
        "table",
        "table_from_sql",
    },
    "dagster_sluice.gates": {
        "Decision",
        "ExpectationResult",
        "Outcome",
        "PastAudit",
        "RowMask",
        "Verdict",
        "audit",
        "decide",
    },
    "dagster_sluice.tables": {
        "TableContext",
        "WarehouseIOManager",
        "WarehouseResource",
        "gate",
        "table",
        "table_from_sql",
    },
    "dagster_sluice.quarantine": {"Replayed", "Replayer", "replay_job"},
    "dagster_sluice.holds": {"Action", "Decided", "decide", "hold_job"},
    "dagster_sluice.dbt": {"dbt_source_checks", "dbt_tables", "modified_assets"},
    "dagster_sluice.freshness": {
        "Deadline",
        "Exceptional",
        "LogNotifier",
        "Notice",
        "Notifier",
        "Recency",
        "WebhookNotifier",
        "freshness_checks",
        "freshness_sensor",
        "with_freshness",
    },
    "dagster_sluice.lineage": {
        "ColumnLineage",
        "ColumnRef",
        "LineageGraph",
        "column_lineage_metadata",
        "lineage_of",
        "openlineage_sensor",
        "with_column_lineage",
    },
}


@pytest.mark.parametrize("module", SURFACE)
def test_the_surface_is_this(module):
    assert set(importlib.import_module(module).__all__) == SURFACE[module]


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in SURFACE.items() for name in sorted(names)]
)
def test_every_name_can_be_imported_and_says_what_it_is_for(module, name):
    found = getattr(importlib.import_module(module), name)
    assert found.__doc__
    assert found.__module__.startswith("dagster_sluice")


@pytest.mark.parametrize("module", SURFACE)
def test_no_module_has_a_public_name(module):
    """An imported submodule becomes an attribute of its package, and would then be found in place of the name."""
    package = importlib.import_module(module)
    modules = {info.name for info in pkgutil.iter_modules(package.__path__)}
    assert modules.isdisjoint(SURFACE[module])


@pytest.mark.parametrize("module", SURFACE)
def test_a_name_that_is_not_there(module):
    with pytest.raises(AttributeError, match="nothing_like_it"):
        importlib.import_module(module).nothing_like_it  # noqa: B018 (the access is what is tested)


def test_it_is_registered_with_dagster():
    from dagster_shared.libraries import DagsterLibraryRegistry

    assert DagsterLibraryRegistry.get()["dagster-sluice"] == dagster_sluice.__version__
