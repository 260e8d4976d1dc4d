"""A dbt profile for the warehouse, for projects that have none of their own for it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import yaml

from dagster_sluice.errors import Culprit, SettingError

__all__ = ["profiles_of"]

_PROFILE = """\
# Made by dagster-sluice; every value that may be secret comes from the environment.
{name}:
  target: warehouse
  outputs:
    warehouse:
      type: postgres
      host: "{{{{ env_var('SLUICE_DBT_HOST', 'localhost') }}}}"
      port: "{{{{ env_var('SLUICE_DBT_PORT', '5432') | as_number }}}}"
      user: "{{{{ env_var('SLUICE_DBT_USER', 'postgres') }}}}"
      password: "{{{{ env_var('SLUICE_DBT_PASSWORD', '') }}}}"
      dbname: "{{{{ env_var('SLUICE_DBT_DBNAME', 'postgres') }}}}"
      schema: {schema}
      threads: 2
      connect_timeout: 10
"""


def profiles_of(directory: Path, schema: str | None) -> Path:
    """The directory of the ``profiles.yml`` that a project is built with.

    It is the project's own, unless it has none there or a schema is given: then one is made below ``target``.

    Args:
        directory: The project.
        schema: The schema of the profile that is made; by default the project's name.

    Raises:
        SettingError: ``dbt_project.yml`` cannot be read.
    """
    if schema is None and (directory / "profiles.yml").is_file():
        return directory
    file = directory / "dbt_project.yml"
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
        name = str(said.get("profile") or said["name"])
        chosen = schema or str(said["name"])
    except (yaml.YAMLError, KeyError, AttributeError, TypeError) as failure:
        raise SettingError(
            "A dbt project cannot be read.",
            culprits=[Culprit(file=file, problem="is no YAML with the project's name and profile.")],
        ) from failure
    text = _PROFILE.format(name=json.dumps(name), schema=json.dumps(chosen))
    place = directory / "target" / f"sluice-{chosen}"
    made = place / "profiles.yml"
    if not made.is_file() or made.read_text(encoding="utf-8") != text:
        place.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        Path(temporary).replace(made)
    return place
