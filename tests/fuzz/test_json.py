"""Fuzz the reader of JSON."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.budget import Fuzz
from fuzz.mutations import damaged, resembling
from maskcast.core.errors import DataError
from maskcast.core.strict_json import parse_json

TREES = [{"a": [1, 2.5, None, True, "é"], "b": {"c": [[]]}}, [{"id": 1}], "text", 3]
FILES = [b'{"a": [1, 2.5, null, true, "\xc3\xa9"]}', b"\xff\xfe[\x001\x00]\x00", b"[NaN, 1e9]"]


def parses_or_rejects(content: str | bytes) -> None:
    try:
        parse_json(content)
    except DataError as error:
        assert error.summary.startswith("invalid JSON")


def test_text_and_bytes(fuzz: Fuzz):
    fuzz(damaged(FILES) | st.binary(max_size=64) | st.text() | resembling(TREES), parses_or_rejects)
