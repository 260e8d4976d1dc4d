"""Where run-time files go."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_sluice.embedded import sluice_home
from dagster_sluice.errors import SettingError


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLUICE_HOME", raising=False)


@pytest.mark.parametrize(
    ("file", "text"),
    [("workspace.yaml", "load_from: []\n"), ("pyproject.toml", '[project]\nname = "x"\n\n[tool.dg.project]\n')],
)
def test_the_nearest_project_above_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str
) -> None:
    project = tmp_path / "project"
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "workspace.yaml").touch()
    (project / file).write_text(text)
    (inner / "pyproject.toml").write_text('# [tool.dg]\n[tool.dgx]\nname = "[tool.dg]"\n')
    monkeypatch.chdir(inner)
    assert sluice_home() == project / ".sluice"
    assert (project / ".sluice" / ".gitignore").read_text() == "*\n"


def test_outside_a_project_it_is_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sluice_home() == tmp_path / ".sluice"


def test_the_setting_wins_and_a_directory_of_the_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    assert sluice_home() == tmp_path
    assert not (tmp_path / ".gitignore").exists()
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "new"))
    assert (sluice_home() / ".gitignore").read_text() == "*\n"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_HOME", "relative")
    assert sluice_home() == tmp_path / "relative"
    monkeypatch.setenv("SLUICE_HOME", " ")
    assert sluice_home() == tmp_path / ".sluice"


def test_a_file_in_its_place_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "file"))
    with pytest.raises(SettingError, match=r"file cannot be used as SLUICE_HOME: File exists"):
        sluice_home()
    monkeypatch.setenv("SLUICE_HOME", "/proc/sluice")
    with pytest.raises(SettingError, match="Set SLUICE_HOME to a directory"):
        sluice_home()
