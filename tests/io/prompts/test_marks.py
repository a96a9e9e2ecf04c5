"""Absences and ends beside masks find their frames and objects, or an error says why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from maskcast.core.errors import PromptError, UsageError
from maskcast.core.types import ABSENT
from maskcast.io.label_maps import write_label_map
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.marks import ListedMarks, parse_end, read_marks, write_marks
from maskcast.io.prompts.reading import GivenPrompts, describe_masks, read_prompts

SIZE = (6, 8)
NAMES = [f"{number:05d}" for number in range(10, 20)]  # a folder that begins at 10


@pytest.fixture
def folder(tmp_path) -> Path:
    """Masks of objects 1 and 2 on the first frame, and of object 1 on the fifth."""
    values = np.zeros(SIZE, np.int64)
    values[:, 0], values[:, 1] = 1, 2
    write_label_map(tmp_path / "masks" / "00010.png", values)
    write_label_map(tmp_path / "masks" / "00014.png", np.where(values == 1, 1, 0))
    return tmp_path / "masks"


def read(folder: Path, marks: object, **options: object) -> GivenPrompts:
    (folder / "marks.json").write_text(json.dumps(marks))
    return read_prompts([folder], **{"names": NAMES, "size": SIZE, **options})


def test_marks_are_read_together_with_the_masks(folder):
    given = read(folder, {"absent": [[7, 1], ["00018", 2]], "ends": [[9, 2]]})
    assert {frame: sorted(marks) for frame, marks in given.by_frame.items()} == {
        **{0: [1, 2], 4: [1]},
        **{7: [1], 8: [2]},
    }
    assert given.by_frame[7][1] is given.by_frame[8][2] is ABSENT
    assert given.ends == {9: {2}}
    assert "frame 00019: object 2 ends" in given.report


def test_numbers_count_in_the_whole_video_and_are_no_names(folder):
    assert read(folder, {"ends": [[12, 2]]}, first=10).ends == {2: {2}}
    assert read(folder, {"ends": [["12", 2]]}, first=10).ends == {2: {2}}
    with pytest.raises(PromptError, match="object 2 is marked on frame 12, which does not exist"):
        read(folder, {"ends": [[12, 2]]})


def test_ends_given_as_text_are_added(folder):
    given = read(folder, {"ends": [[2, 2]]}, ends=("00013:2", "6:1"))
    assert given.ends == {2: {2}, 3: {2}, 6: {1}}


def test_swaps_and_merges_are_read_together_with_typed_ones(folder):
    marks = {"swaps": [[12, [1, 2]]], "merges": [["00016", [1, 2]]]}
    given = read(folder, marks, swaps=("13:2,1",), first=10)
    assert given.renames == {2: {1: 2, 2: 1}, 3: {1: 2, 2: 1}, 6: {2: 1}}
    assert "frame 00016: object 2 merged into object 1" in given.report
    with pytest.raises(PromptError, match="swap of objects 1, 2: frame 30 does not exist"):
        read(folder, {"swaps": [[30, [1, 2]]]})


def test_ends_of_objects_that_have_not_begun_are_left_out_and_reported(folder):
    given = read(folder, {"ends": [[0, 5], [3, 7], [6, 1]]})
    assert given.ends == {6: {1}}
    assert given.report[-4:-1] == [
        "frame 00010: object 5 ends without effect: it is not marked before",
        "frame 00013: object 7 ends without effect: it is not marked before",
        "frame 00016: object 1 ends",
    ]


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"ends": [[4, 1]]}, "object 1 has a mask or a box on frame 00014 and ends there"),
        ({"absent": [[4, 1]]}, "on frame 00014 and is marked as absent there"),
        ({"ends": [["nowhere", 1]]}, "frame nowhere, which does not exist; frames are named 00010"),
    ],
)
def test_marks_that_contradict_the_masks_are_an_error(marks, words, folder):
    with pytest.raises(PromptError, match=words):
        read(folder, marks)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "5", "{", "[" * 100_000, '{"ends": 5}', '{"ends": [5]}', '{"ends": [[1]]}'),
        *('{"ends": [[1, 2, 3]]}', '{"ends": [[-1, 1]]}', '{"ends": [[1, 0]]}'),
        *('{"ends": [[true, 1]]}', '{"ends": [[1.5, 1]]}', '{"ends": [["", 1]]}'),
        *('{"ends": [[1, 16777216]]}', '{"end": [[1, 1]]}', '{"swaps": 5}', '{"swaps": [[1, 2]]}'),
        *('{"swaps": [[1, [1, 2, 3]]]}', '{"swaps": [[1, [2, 2]]]}', '{"merges": [[1, [2]]]}'),
        *(
            '{"merges": [[1, [2, true]]]}',
            '{"merges": [[-1, [2, 1]]]}',
            '{"merges": [[1, [0, 1]]]}',
        ),
    ],
)
def test_a_damaged_file_is_named(text, folder):
    (folder / "marks.json").write_text(text)
    with pytest.raises(PromptError, match=r"marks.json must list marks as"):
        read_prompts([folder], names=NAMES, size=SIZE)


def test_what_is_written_is_read_back(tmp_path):
    marks = ListedMarks(
        absent=((240, 1), ("a b", 2)),
        ends=((620, 2),),
        swaps=((40, (2, 1)),),
        merges=(("a b", (1, 3, 2)),),
    )
    write_marks(tmp_path / "marks.json", marks)
    assert read_marks(tmp_path / "marks.json") == marks
    write_marks(tmp_path / "marks.json", ListedMarks())
    assert (tmp_path / "marks.json").read_text() == "{}\n"


@pytest.mark.parametrize("text", ["", "5", "5:", ":1", "5:0", "5:x", "5:-1", "5:" + "9" * 5000])
def test_other_texts_are_no_end(text):
    with pytest.raises(UsageError, match="write FRAME:ID"):
        parse_end(text)


def test_an_end_may_name_a_frame_with_colons():
    assert parse_end("a:b:3") == ("a:b", 3)


def test_marks_are_no_mask_for_info(folder):
    (folder / "marks.json").write_text('{"ends": [[2, 2]]}')
    assert not any("marks.json" in line for line in describe_masks(folder))


def absences(given: GivenPrompts) -> dict[int, list[int]]:
    """Ids of absent objects by frame index."""
    by_frame = {
        frame: [i for i, prompt in prompts.items() if prompt is ABSENT]
        for frame, prompts in given.by_frame.items()
    }
    return {frame: ids for frame, ids in by_frame.items() if ids}


def read_text(folder: Path, *absent: str, **options: object) -> GivenPrompts:
    return read_prompts([folder], absent=absent, **{"names": NAMES, "size": SIZE, **options})


def test_absences_given_as_text(folder):
    assert absences(read_text(folder, "1-3:2", "00015:1,2", "8-00019:2")) == {
        **{1: [2], 2: [2], 3: [2]},
        **{5: [1, 2], 8: [2], 9: [2]},
    }
    assert absences(read_text(folder, "12-12:2", first=10)) == {2: [2]}
    assert read_text(folder, "1-3:2").by_frame[0].keys() == {1, 2}


def test_names_of_frames_may_have_hyphens(tmp_path):
    names = [f"cam-1-{number}" for number in range(5)]
    write_label_map(tmp_path / "first.png", np.ones(SIZE, np.int64))
    given = read_prompts(
        [tmp_path / "first.png"],
        absent=["cam-1-1:1", "cam-1-3-cam-1-4:1"],
        **{"names": names, "size": SIZE},
    )
    assert absences(given) == {1: [1], 3: [1], 4: [1]}


@pytest.mark.parametrize("text", ["", "7", "7:", ":2", "7:0", "7:1,", "7:x", "7:" + "9" * 5000])
def test_other_texts_are_no_absence(text, folder):
    with pytest.raises(UsageError, match=r"write FRAMES:ID\[,ID\]") as caught:
        read_text(folder, text)
    assert caught.value.options == ("absent",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1-30:2", "absence 1-30:2: the frames 1-30 do not exist; frames are named 00010 to"),
        ("3-1:2", "the frames 3-1 end before they begin"),
        ("4:1", "object 1 has a mask or a box on frame 00014 and is marked as absent there"),
        ("3:5", "object 5 is marked as absent on frame 00013 but is not tracked there"),
        ("0:2", "object 2 has a mask or a box on frame 00010"),
    ],
)
def test_absences_that_cannot_hold(text, words, folder):
    with pytest.raises(PromptError, match=words) as caught:
        read_text(folder, text)
    assert "absent" in caught.value.options


def test_an_object_is_tracked_between_its_first_mask_and_its_end(folder, tmp_path):
    write_label_map(tmp_path / "00013.png", np.full(SIZE, 7))
    both = {"names": NAMES, "size": SIZE}
    read_prompts([folder, tmp_path / "00013.png"], absent=["6:7"], ends=["7:7"], **both)
    for text in ("2:7", "7:7"):
        with pytest.raises(PromptError, match="but is not tracked there"):
            read_prompts([folder, tmp_path / "00013.png"], absent=[text], ends=["7:7"], **both)
    masks = [folder, tmp_path / "00013.png"]
    given = read_prompts(masks, absent=["2:7"], goes_backward=True, **both)
    assert absences(given) == {2: [7]}


@pytest.mark.parametrize(
    ("names", "first", "keys"),
    [
        (["00010", "00011"], 0, ["0", "1"]),
        (["00010", "00011"], 10, ["10", "11"]),
        (["1", "2", "3"], 0, ["0", "2", "3"]),  # "1" is the name of the first, "2" of the second
        (["b", "a"], 5, ["5", "6"]),
    ],
)
def test_the_key_of_a_frame_is_read_as_this_frame(names, first, keys):
    frames = PromptFrames(names, SIZE, first)
    assert [frames.key(index) for index in range(len(names))] == keys
    assert [frames.find(key) for key in keys] == list(range(len(names)))
