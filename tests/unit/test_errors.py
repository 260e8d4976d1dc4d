"""The error tree: every error says what, which culprits and what to do, and crosses process borders."""

import copy
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import scenario

from dagster_sluice import errors
from dagster_sluice.errors import Culprit, SluiceError

TREE = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, SluiceError)]
CULPRITS = (
    Culprit(file=Path("a.yaml"), line=3, column=7, where="flights.dest", problem="is wrong.", mend="Mend it."),
    Culprit(where="--select", problem="selects nothing."),
    Culprit(problem="plain."),
)


def made(kind):
    return kind("It went wrong.", culprits=CULPRITS, mend="Do this.")


def raised(kind):
    raise made(kind)


@pytest.mark.parametrize("kind", TREE)
def test_it_says_what_which_and_what_to_do(kind):
    assert str(made(kind)).splitlines() == [
        "It went wrong.",
        "  - a.yaml:3:7 (flights.dest): is wrong. Mend it.",
        "  - --select: selects nothing.",
        "  - plain.",
        "Do this.",
    ]


@pytest.mark.parametrize("kind", TREE)
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_it_is_the_same_after_pickling_and_copying(kind, again):
    error = again(made(kind))
    assert type(error) is kind
    assert (error.what, error.culprits, error.mend) == ("It went wrong.", CULPRITS, "Do this.")
    assert str(error) == str(made(kind))


def test_it_crosses_a_process_border():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(errors.PublishError) as caught:
        pool.submit(raised, errors.PublishError).result()
    assert caught.value.culprits == CULPRITS


def test_the_tree_is_drawn_in_the_docstring():
    drawn = [line for line in errors.__doc__.splitlines() if "──" in line]
    assert {line.partition("── ")[2].split()[0] for line in drawn} == {kind.__name__ for kind in TREE} - {"SluiceError"}
    assert {kind.__name__ for kind in TREE} <= set(errors.__all__)


def test_one_root_and_never_dagsters():
    import dagster as dg

    for kind in TREE:
        assert issubclass(kind, SluiceError)
        assert not issubclass(kind, dg.DagsterError)
        assert kind.__doc__


def test_without_culprits_it_is_one_line():
    assert str(SluiceError("Only this.")) == "Only this."
    assert SluiceError("Only this.").culprits == ()


@pytest.mark.parametrize("text", scenario.AWKWARD_TEXTS)
def test_words_of_any_make(text):
    error = SluiceError(text, culprits=[Culprit(where=text, problem=text)])
    assert text in str(pickle.loads(pickle.dumps(error)))
