"""Files are named after what they show, and other settings make other files."""

from __future__ import annotations

import pytest

from maskcast.core.errors import ConfigError, UsageError
from maskcast.runs.export_plan import SourceFacts, check_objects, plan_renderings
from maskcast.runs.export_settings import Exports

FOLDER, VIDEO = SourceFacts(is_folder=True), SourceFacts(is_folder=False)


def names(wanted: Exports, facts: SourceFacts = VIDEO, named: dict[int, str] | None = None):
    planned = plan_renderings(wanted, {1, 2, 7}, named or {}, facts)
    return {each.name: each.ids for each in planned}


def test_all_objects_are_in_one_file_by_default():
    wanted = Exports(
        cutout=("png", "exr", "prores", "vp9"),
        matte=("png", "png16", "h264", "prores", "ffv1"),
        green_screen=("h264", "prores"),
        effect=("blur", "black-background"),
    )
    assert names(wanted) == dict.fromkeys(
        [
            *("cutout", "cutout-exr", "cutout.mov", "cutout.webm"),
            *("matte", "matte-16bit", "matte.mp4", "matte.mov", "matte.mkv"),
            *("green-screen.mp4", "green-screen.mov", "blur.mp4", "black-background.mp4"),
        ]
    )


def test_one_file_for_each_object_or_one_for_some():
    wanted = {"cutout": ("prores",)}
    assert names(Exports(**wanted, objects="7,1")) == {
        "cutout-7.mov": (7,),
        "cutout-1.mov": (1,),
    }
    assert list(names(Exports(**wanted, objects="all"))) == [
        "cutout-1.mov",
        "cutout-2.mov",
        "cutout-7.mov",
    ]
    assert names(Exports(**wanted, objects="1,7", merged=True)) == {"cutout-1+7.mov": (1, 7)}
    assert names(Exports(**wanted, merged=True)) == {"cutout.mov": None}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("left post", "left_post"),
        ("../../etc/passwd", "etc_passwd"),
        ("a/b\\c:d*e", "a_b_c_d_e"),
        ("Гепард", "Гепард"),
        ("🐕", ""),
        ("x" * 80, "x" * 40),
    ],
)
def test_names_of_objects_are_part_of_file_names(name, part):
    wanted = Exports(matte=("png",), objects="1")
    assert list(names(wanted, named={1: name})) == [f"matte-1-{part}".rstrip("-")]


def test_other_settings_make_other_files():
    cut = {"cutout": ("png", "prores"), "matte": ("h264",)}
    assert list(names(Exports(**cut, rate=12.5, start_number=1001), FOLDER)) == [
        "cutout-from1001",
        "cutout-12.5fps.mov",
        "matte-12.5fps.mp4",
    ]
    assert list(names(Exports(**cut, sound=False, rate=12), VIDEO)) == [
        "cutout",
        "cutout-silent.mov",
        "matte.mp4",  # mattes never have sound
    ]


def test_edges_are_part_of_the_name():
    wanted = Exports(
        cutout=("png", "prores"),
        objects="2",
        edges="refined",
        grow=-2,
        feather=1.5,
        fill_holes=50,
        rate=24000 / 1001,
    )
    part = "refined-shrink2-feather1.5-fill50"
    assert list(names(wanted)) == [f"cutout-2-{part}", f"cutout-2-{part}.mov"]
    assert list(names(Exports(matte=("h264",), edges="soft", grow=3, feather=2.0))) == [
        "matte-soft-grow3-feather2.mp4"
    ]


def test_unknown_objects_are_rejected():
    wanted = Exports(cutout=("png",), objects="1,5,9")
    with pytest.raises(UsageError, match="object 5 does not exist; objects of this run: 1, 2, 7"):
        names(wanted)
    check_objects(Exports(cutout=("png",), objects="all"), [])


@pytest.mark.parametrize("objects", ["", "0", "1;2", "1,,2", "dog", "-1", "1,"])
def test_objects_are_ids(objects):
    with pytest.raises(ConfigError, match="objects must be ids such as 1,2, or all"):
        Exports(cutout=("png",), objects=objects)


def test_objects_are_chosen_for_something():
    with pytest.raises(ConfigError, match="ask for one of them"):
        Exports(overlay=True, objects="1")
