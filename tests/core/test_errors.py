"""Errors carry their parts, also through a pickle, as between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from maskcast.core import errors
from maskcast.core.errors import MaskcastError, MissingFileError, OutputError, WeightsError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MaskcastError)
]


def test_the_list_of_kinds_is_found():
    assert {MaskcastError, MissingFileError, OutputError} < set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_every_kind_survives_a_pickle_with_its_parts(kind, copied):
    error = kind("two problems", details=["one", "two"], options=("masks", "box"))
    again = copied(error)
    assert type(again) is kind
    assert (again.summary, again.details, again.options) == (
        "two problems",
        ("one", "two"),
        ("masks", "box"),
    )
    assert str(again) == "two problems:\n  - one\n  - two"


def test_tensors_that_are_missing_or_unknown_are_listed():
    error = WeightsError.mismatch("not a trunk", missing={"b", "a"}, unknown=["c"])
    assert str(error).splitlines() == [
        "not a trunk: 2 tensors missing, 1 unknown:",
        "  - missing: a",
        "  - missing: b",
        "  - unknown: c",
    ]


def test_one_problem_is_a_line_and_several_are_a_list():
    error = MissingFileError.listing("cannot submit", ["a is missing"], options=("results",))
    assert str(error) == "cannot submit: a is missing"
    assert error.options == ("results",)
    error = MissingFileError.listing("cannot submit", ["a", "b"])
    assert (error.summary, error.details) == ("cannot submit", ("a", "b"))


@pytest.mark.parametrize("kind", KINDS)
def test_without_parts_an_error_is_its_summary(kind):
    error = pickle.loads(pickle.dumps(kind("cannot read a.mp4")))
    assert str(error) == "cannot read a.mp4"
    assert (error.details, error.options) == ((), ())
