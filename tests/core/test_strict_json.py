"""JSON of others: what is accepted, and one sentence about everything else."""

from __future__ import annotations

import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.strict_json import DEEPEST, parse_json, read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**90), 10**90) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(tree=values)
def test_valid_json_is_read_as_the_standard_library_reads_it(tree):
    assert parse_json(json.dumps(tree)) == tree


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "invalid JSON"),
        ("{", "invalid JSON"),
        (b'{"a": \xff}', "invalid JSON"),
        ('{"id": 1, "id": 2}', "the key 'id' occurs twice"),
        ("9" * 101, "a number has 101 characters"),
        ("[-" + "9" * 5000 + "]", "a number has 5001 characters"),
        ("1e999", "1e999 is out of range"),
        ("-1e999", "-1e999 is out of range"),
        ("NaN", "NaN is not a JSON number"),
        ("[-Infinity]", "-Infinity is not a JSON number"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "more than 100 levels"),
        ("[" * 200_000, "more than 100 levels"),
        ('{"a":' * 200_000, "more than 100 levels"),
    ],
)
def test_what_is_rejected(content, words):
    with pytest.raises(DataError, match=f"^invalid JSON.*{words}|^{words}"):
        parse_json(content)


def test_the_deepest_value_that_is_accepted():
    text = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(text) == json.loads(text)


def test_numbers_that_are_not_json_are_accepted_where_programs_write_them():
    nan, infinity, overflow = parse_json("[NaN, -Infinity, 1e999]", non_finite=True)
    assert math.isnan(nan)
    assert (infinity, overflow) == (-math.inf, math.inf)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_and_without_a_byte_order_mark(tmp_path, encoding):
    path = tmp_path / "a.json"
    path.write_text('{"ä": 1}', encoding)
    assert read_json(path) == {"ä": 1}


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        read_json(tmp_path / "none.json")
    with pytest.raises(DataError, match="not a regular file"):
        read_json(tmp_path)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(DataError, match="not a regular file"):
        read_json(tmp_path / "pipe.json")
    (tmp_path / "large.json").write_text("[1, 2]")
    assert read_json(tmp_path / "large.json", largest=6) == [1, 2]
    with pytest.raises(DataError, match=r"large\.json is larger than 5 bytes"):
        read_json(tmp_path / "large.json", largest=5)


def test_messages_name_the_file(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json: invalid JSON"):
        read_json(tmp_path / "a.json")
