"""Names and colours of objects survive, and nonsense does not get in."""

from __future__ import annotations

import json

import pytest

from maskcast.core.errors import ConfigError, DataError
from maskcast.runs.objects import ObjectLook, read_objects, write_objects


def test_names_and_colours_are_read_back(tmp_path):
    looks = {
        300: ObjectLook(name="left post"),
        1: ObjectLook(name="Läufer № 1", colour="#56b4e9"),
        2: ObjectLook(),
    }
    assert read_objects(tmp_path) == {}
    write_objects(tmp_path, looks)
    assert read_objects(tmp_path) == looks
    tree = json.loads((tmp_path / "objects.json").read_text())
    assert tree["1"] == {"name": "Läufer № 1", "colour": "#56b4e9"}
    assert list(tree) == ["1", "2", "300"]


@pytest.mark.parametrize(
    "wrong",
    [{"name": "x" * 81}, {"name": ""}, {"name": "a\nb"}, {"colour": "red"}, {"colour": "#12345"}],
)
def test_other_names_and_colours_are_an_error(wrong):
    with pytest.raises(ConfigError):
        ObjectLook(**wrong)
    ObjectLook(name="x" * 80)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"1": 5}', '{"0": {}}', '{"x": {}}', '{"1": {"name": 5}}'),
        *('{"1": {"colour": "red"}}', "[" * 100_000),
    ],
)
def test_a_damaged_file_is_one_error(text, tmp_path):
    (tmp_path / "objects.json").write_text(text)
    with pytest.raises(DataError, match=r"objects.json"):
        read_objects(tmp_path)
