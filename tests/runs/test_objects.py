"""Names and colours of objects survive, and nonsense does not get in."""

from __future__ import annotations

import json

import pytest

from maskcast.core.errors import ConfigError, DataError, UsageError
from maskcast.runs.objects import (
    ObjectLook,
    colours_of,
    names_of,
    parse_looks,
    read_objects,
    update_objects,
    write_objects,
)


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


def test_names_and_colours_are_parsed():
    looks = parse_looks(["1=dog", " 12 = a=b "], ["1=#d55e00", "3=#FFFFFF"])
    assert looks == {
        1: ObjectLook(name="dog", colour="#d55e00"),
        3: ObjectLook(colour="#FFFFFF"),
        12: ObjectLook(name="a=b"),
    }
    assert names_of(looks) == {1: "dog", 12: "a=b"}
    assert colours_of(looks) == {1: (0xD5, 0x5E, 0), 3: (255, 255, 255)}


@pytest.mark.parametrize(
    ("names", "colours", "words"),
    [
        (["dog"], [], "invalid name 'dog'; write ID=NAME"),
        (["0=dog"], [], "invalid name '0=dog'"),
        ([f"{2**24}=dog"], [], "invalid name"),
        (["1="], [], "object 1: the name of an object must have 1 to 80 characters, got 0"),
        (["1=a", "1=b"], [], "object 1 is given two names"),
        ([], ["x=#000000"], "invalid colour 'x=#000000'; write ID=#rrggbb"),
        ([], ["2=red"], "object 2: a colour must be written #rrggbb, got 'red'"),
    ],
)
def test_other_texts_are_usage_errors(names, colours, words):
    with pytest.raises(UsageError) as caught:
        parse_looks(names, colours)
    assert words in caught.value.summary
    assert caught.value.options


def test_what_is_not_given_stays(tmp_path):
    write_objects(tmp_path, {1: ObjectLook(name="dog", colour="#56b4e9"), 2: ObjectLook(name="b")})
    update_objects(tmp_path, {1: ObjectLook(colour="#d55e00"), 5: ObjectLook(name="cat")})
    assert read_objects(tmp_path) == {
        1: ObjectLook(name="dog", colour="#d55e00"),
        2: ObjectLook(name="b"),
        5: ObjectLook(name="cat"),
    }


def test_a_folder_without_names_gets_no_file(tmp_path):
    update_objects(tmp_path, {})
    assert not any(tmp_path.iterdir())
