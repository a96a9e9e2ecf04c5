"""Masks and boxes find their frames and ids, or a sentence says why not."""

from __future__ import annotations

import inspect
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from maskcast.core.errors import MaskShapeError, MissingFileError, PromptError, UsageError
from maskcast.core.types import Box
from maskcast.io.label_maps import write_label_map
from maskcast.io.prompts.reading import GivenPrompts, describe_masks, read_prompts
from maskcast.io.rle import encode_mask

SIZE = (6, 8)
NAMES = [f"{number:05d}" for number in range(10, 20)]  # a folder that begins at 10


def label_map(*ids: int) -> np.ndarray:
    """One column per id from the left, the rest background."""
    values = np.zeros(SIZE, dtype=np.int64)
    for column, object_id in enumerate(ids):
        values[:, column] = object_id
    return values


def save(path: Path, *ids: int) -> Path:
    write_label_map(path, label_map(*ids))
    return path


def read(masks: list[Path], boxes: tuple[str, ...] = (), **options) -> GivenPrompts:
    return read_prompts(masks, boxes, **{"names": NAMES, "size": SIZE, **options})


def ids_by_frame(prompts: GivenPrompts) -> dict[int, list[int]]:
    return {frame: list(marks) for frame, marks in prompts.by_frame.items()}


def test_a_name_that_a_frame_has_goes_before_its_number(tmp_path):
    given_ = read([save(tmp_path / "00012.png", 1), save(tmp_path / "00003.png", 2)])
    assert {frame: list(prompts) for frame, prompts in given_.by_frame.items()} == {2: [1], 3: [2]}
    assert given_.report == [
        f"{tmp_path / '00012.png'}: indexed, for frame 00012: id 1 (6 pixels)",
        f"{tmp_path / '00003.png'}: indexed, for frame 00013: id 2 (6 pixels)",
        "the masks do not show object 1 on frame 00013: tracking goes on as before; give a mask as "
        "a corrected one if the objects that it lacks are absent",
    ]


def test_a_single_file_of_any_name_belongs_to_the_first_frame(tmp_path):
    given_ = read([save(tmp_path / "drawn by hand.png", 5, 300)])
    assert list(given_.by_frame) == [0]
    assert given_.ids == [5, 300]
    mask = given_.by_frame[0][5]
    assert isinstance(mask, torch.Tensor)
    assert torch.equal(mask, torch.from_numpy(label_map(5) == 5))


def test_numbers_count_in_the_whole_video(tmp_path):
    names = [f"{number:05d}" for number in range(3, 8)]
    given_ = read([save(tmp_path / "4.png", 1)], ("6:2:0,0,2,2",), names=names, first=3)
    assert {frame: list(prompts) for frame, prompts in given_.by_frame.items()} == {1: [1], 3: [2]}
    with pytest.raises(PromptError, match=r"frames are named 00003 to 00007 and numbered 3 to 7"):
        read([save(tmp_path / "2.png", 1)], names=names, first=3)


def test_masks_that_belong_nowhere_are_listed(tmp_path):
    paths = [save(tmp_path / f"{name}.png", 1) for name in ("cat", "dog")]
    with pytest.raises(PromptError, match="2 masks match no frame; frames are named") as caught:
        read(paths)
    assert caught.value.details == tuple(f"mask {name} (in {tmp_path})" for name in ("cat", "dog"))
    with pytest.raises(
        PromptError, match=r"^mask 00099 \(in .*\) matches no frame; frames are"
    ) as one:
        read([save(tmp_path / "00099.png", 1)])
    assert one.value.details == ()


def test_a_folder_of_masks(tmp_path):
    folder = tmp_path / "masks"
    for name in ("00010", "00015"):
        save(folder / f"{name}.png", 1, 2)
    (folder / "readme.txt").write_text("not a mask")
    given_ = read([folder])
    assert {frame: list(prompts) for frame, prompts in given_.by_frame.items()} == {
        0: [1, 2],
        5: [1, 2],
    }
    save(folder / "other.png", 1)
    with pytest.raises(PromptError, match=r"mask other .* matches no frame"):
        read([folder])


def test_a_folder_per_object(tmp_path):
    folder = tmp_path / "masks"
    save(folder / "3" / "00010.png", 1)
    save(folder / "12" / "00010.png", 0, 255)
    save(folder / "12" / "00011.png", 255)
    given_ = read([folder])
    assert {frame: list(prompts) for frame, prompts in given_.by_frame.items()} == {
        0: [3, 12],
        1: [12],
    }
    save(folder / "12" / "00012.png", 1, 2)
    with pytest.raises(PromptError, match="has 2 objects but is in the folder 12"):
        read([folder])
    save(folder / "00013.png", 1)
    with pytest.raises(PromptError, match="contains both masks and folders"):
        read([folder])


def test_folders_with_words_for_names_get_ids_and_the_report_says_which(tmp_path):
    save(tmp_path / "masks" / "dog" / "00010.png", 1)
    save(tmp_path / "masks" / "cat" / "00010.png", 0, 1)
    given_ = read([tmp_path / "masks"])
    assert given_.ids == [1, 2]
    assert "cat gets object id 1" in given_.report
    assert "dog gets object id 2" in given_.report


def test_a_folder_named_0_names_no_object(tmp_path):
    save(tmp_path / "masks" / "0" / "00010.png", 1)
    with pytest.raises(PromptError, match=r"object ids must be in .1, 16777215., got 0"):
        read([tmp_path / "masks"])


def colours(path: Path, *values: tuple[int, int, int]) -> Path:
    picture = np.zeros((*SIZE, 3), dtype=np.uint8)
    for column, value in enumerate(values):
        picture[:, column] = value
    Image.fromarray(picture).save(path)
    return path


def test_davis_colours_keep_their_ids(tmp_path):
    given_ = read([colours(tmp_path / "a.png", (0, 128, 0), (128, 0, 0))])
    assert given_.ids == [1, 2]
    mask = given_.by_frame[0][2]
    assert isinstance(mask, torch.Tensor)
    assert mask[:, 0].all()  # (0, 128, 0) is colour 2


def test_other_colours_are_numbered_and_keep_their_number_on_every_frame(tmp_path):
    first = colours(tmp_path / "00010.png", (255, 0, 0), (0, 255, 0))
    later = colours(tmp_path / "00011.png", (0, 255, 0), (0, 0, 255), (255, 0, 0))
    given_ = read([later, first])
    assert [line for line in given_.report if "gets object id" in line] == [
        "#ff0000 gets object id 1",
        "#00ff00 gets object id 2",
        "#0000ff gets object id 3",
    ]
    for frame, column in ((0, 1), (1, 0)):
        mask = given_.by_frame[frame][2]
        assert isinstance(mask, torch.Tensor)
        assert mask[:, column].all()


@pytest.mark.parametrize("as_indexed", [True, False])
def test_a_corrected_label_map_of_ours_is_about_the_objects_painted_first(tmp_path, as_indexed):
    first = colours(tmp_path / "00010.png", (255, 0, 0), (0, 255, 255))
    later = tmp_path / "00012.png"
    write_label_map(later, label_map(1, 2))
    if not as_indexed:  # a paint program that saves no indexed PNG
        with Image.open(later) as picture:
            picture.convert("RGB").save(later)
    given_ = read([first, later])
    assert {frame: list(marks) for frame, marks in given_.by_frame.items()} == {
        0: [1, 2],
        2: [1, 2],
    }


def test_colours_of_ours_keep_their_ids_beside_a_grey_first_mask(tmp_path):
    Image.fromarray(label_map(255).astype(np.uint8)).save(tmp_path / "00010.png")
    later = colours(tmp_path / "00011.png", (128, 0, 0), (0, 128, 0))
    assert ids_by_frame(read([tmp_path / "00010.png", later])) == {0: [1], 1: [1, 2]}


def test_words_and_numbers_side_by_side_are_different_objects(tmp_path):
    save(tmp_path / "masks" / "dog" / "00010.png", 1)
    save(tmp_path / "masks" / "1" / "00011.png", 1)
    assert ids_by_frame(read([tmp_path / "masks"])) == {0: [2], 1: [1]}


def test_the_higher_id_wins_where_masks_overlap_and_the_report_says_so(tmp_path):
    wide, narrow = np.zeros(SIZE, dtype=bool), np.zeros(SIZE, dtype=bool)
    wide[:, :4], narrow[:, 3:5] = True, True
    content = [
        {"frame": 0, "object_id": object_id, "segmentation": encode_mask(mask)}
        for object_id, mask in ((2, wide), (7, narrow))
    ]
    (tmp_path / "a.json").write_text(json.dumps(content))
    given_ = read([tmp_path / "a.json"])
    low, high = given_.by_frame[0][2], given_.by_frame[0][7]
    assert isinstance(low, torch.Tensor)
    assert isinstance(high, torch.Tensor)
    assert (int(low.sum()), int(high.sum())) == (18, 12)
    assert "on frame 00010 object 2 loses 6 pixels to objects with higher ids" in given_.report


def test_an_object_under_another_one_is_refused(tmp_path):
    content = [
        {"frame": 0, "object_id": object_id, "segmentation": encode_mask(label_map(1) == 1)}
        for object_id in (2, 7)
    ]
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(
        PromptError, match="object 2 is completely covered by objects with higher ids"
    ):
        read([tmp_path / "a.json"])


def test_the_same_object_twice_on_a_frame_is_refused(tmp_path):
    one, two = save(tmp_path / "a" / "00010.png", 1), save(tmp_path / "b" / "00010.png", 0, 1)
    with pytest.raises(PromptError, match="object 1 is given twice on frame 00010"):
        read([one, two])
    with pytest.raises(PromptError, match="object 1 is given twice on frame 00010"):
        read([one], ("0:1:0,0,2,2",))


def test_boxes_get_the_lowest_free_ids(tmp_path):
    masks = [save(tmp_path / "a.png", 1, 3)]
    given_ = read(masks, ("0,0,2,2", "00012:5:1,1,2,2", "4,0,2,2", "3:4:0,0,8,6"))
    assert given_.by_frame[0][2] == Box(0, 0, 2, 2)
    assert given_.by_frame[0][6] == Box(4, 0, 2, 2)  # 4 and 5 are typed
    assert given_.by_frame[2] == {5: Box(1, 1, 2, 2)}
    assert given_.by_frame[3] == {4: Box(0, 0, 8, 6)}
    assert given_.ids == [1, 2, 3, 4, 5, 6]
    assert "box 0,0,2,2: object 2 on frame 00010" in given_.report


def test_a_box_for_a_frame_that_is_not_there():
    with pytest.raises(PromptError, match="frame 99 does not exist; frames are named 00010"):
        read([], ("99:1:0,0,2,2",))


def test_a_later_prompt_for_a_known_object_is_a_correction(tmp_path):
    given_ = read([save(tmp_path / "00010.png", 4)], ("00014:4:0,0,2,2",))
    assert {frame: list(prompts) for frame, prompts in given_.by_frame.items()} == {0: [4], 4: [4]}


def test_nothing_given():
    with pytest.raises(UsageError, match="no objects to track"):
        read([])


def test_masks_without_objects(tmp_path):
    empty = save(tmp_path / "00010.png")
    with pytest.raises(PromptError, match=r"no objects in .*: every pixel is background"):
        read([empty])
    with pytest.raises(PromptError, match="no objects in"):
        read([empty], ("1,1,2,2",))
    with pytest.raises(PromptError, match="give it as a corrected mask if the objects") as caught:
        read([save(tmp_path / "00011.png", 1), empty])
    assert caught.value.options == ("corrected",)


def test_a_mask_of_another_size(tmp_path):
    write_label_map(tmp_path / "00010.png", np.ones((3, 4), dtype=np.int64))
    with pytest.raises(MaskShapeError, match=r"00010\.png is 4×3 but the frames are 8×6"):
        read([tmp_path / "00010.png"])


def test_one_pixel_and_all_pixels_are_objects(tmp_path):
    one = np.zeros(SIZE, dtype=np.int64)
    one[5, 7] = 9
    write_label_map(tmp_path / "00010.png", one)
    write_label_map(tmp_path / "00011.png", np.full(SIZE, 255))
    given_ = read([tmp_path])
    assert given_.ids == [9, 255]
    assert "id 9 (1 pixels)" in given_.report[0]
    assert "id 255 (48 pixels)" in given_.report[1]


def test_a_missing_mask(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        read([tmp_path / "absent.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PromptError, match=r"contains no masks.*it contains nothing"):
        read([tmp_path / "empty"])


@settings(max_examples=40, deadline=None)
@given(
    values=hnp.arrays(
        np.int64,
        SIZE,
        elements=st.sampled_from([0, 1, 2, 254, 255, 256, 1000, 65535, 65536, 2**24 - 1]),
    )
)
def test_ids_are_never_changed(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("masks") / "first.png"
    write_label_map(path, values)
    if not values.any():
        with pytest.raises(PromptError):
            read([path])
        return
    (prompts,) = read([path]).by_frame.values()
    assert list(prompts) == [int(value) for value in np.unique(values) if value]
    for object_id, mask in prompts.items():
        assert isinstance(mask, torch.Tensor)
        np.testing.assert_array_equal(mask.numpy(), values == object_id)


def test_a_description(tmp_path):
    grey = np.zeros(SIZE, dtype=np.uint8)
    grey[0, :3] = 255
    Image.fromarray(grey).save(tmp_path / "a.png")
    lines = describe_masks(tmp_path / "a.png")
    assert lines[0] == "a.png: 8-bit grey, 8×6, id 1 (3 pixels)"
    assert "one object, id 1" in lines[1]
    lines = describe_masks(colours(tmp_path / "b.png", (255, 0, 0), (0, 255, 0)))
    assert lines[0] == "#ff0000 gets object id 1"
    assert lines[2] == "b.png: flat colours, 8×6, ids 1 (6 pixels), 2 (6 pixels)"


@pytest.mark.parametrize(
    "name",
    [
        "frame_000006",
        "mask_00006",
        "00006_mask",
        "frame000006",
        "00006.jpg",
        "6",
        "00006_png.rf.0f",
    ],
)
def test_a_single_file_belongs_to_the_frame_that_it_names(tmp_path, name):
    names = [f"{number:05d}" for number in range(12)]
    given_ = read([save(tmp_path / f"{name}.png", 1)], names=names)
    assert list(given_.by_frame) == [6]
    assert "for frame 00006" in given_.report[-1]
    annotation = {"id": 1, "segmentation": encode_mask(label_map(1) == 1)}
    (tmp_path / f"{name}.json").write_text(json.dumps([annotation]))  # a file for each frame
    assert list(read([tmp_path / f"{name}.json"], names=names).by_frame) == [6]


@pytest.mark.parametrize("name", ["frame_000012", "frame_99", "IMG_2041", "00012_mask"])
def test_a_single_file_that_names_no_frame_is_not_the_first(tmp_path, name):
    names = [f"{number:05d}" for number in range(12)]
    with pytest.raises(PromptError, match=f"mask {name} .*matches no frame"):
        read([save(tmp_path / f"{name}.png", 1)], names=names)


@pytest.mark.parametrize("name", ["mask1", "2024-01-05", "mask_12"])
def test_a_name_whose_frame_is_unclear_is_refused(tmp_path, name):
    with pytest.raises(PromptError, match=r"name it after its frame, such as 00010\.png"):
        read([save(tmp_path / f"{name}.png", 1)])


def test_the_number_in_the_names_of_frames_goes_before_the_index(tmp_path):
    names = [f"shot_{number:04d}" for number in range(1, 9)]
    assert list(read([save(tmp_path / "mask_0003.png", 1)], names=names).by_frame) == [2]
    assert list(read([save(tmp_path / "shot_0003.png", 1)], names=names).by_frame) == [2]
    assert list(read([save(tmp_path / "8.png", 1)], names=names).by_frame) == [7]
    with pytest.raises(PromptError, match="frame shot_0003 by its name or to frame shot_0004 by"):
        read([save(tmp_path / "3.png", 1)], names=names)
    with pytest.raises(PromptError, match="matches no frame"):
        read([save(tmp_path / "mask_0000.png", 1)], names=names)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_written_in_either_form(tmp_path, forms):
    on_disk, in_video = (unicodedata.normalize(form, "überfall") for form in forms)
    given_ = read([save(tmp_path / f"{on_disk}.png", 1)], names=["anfang", in_video])
    assert list(given_.by_frame) == [1]
    assert read([], (f"{on_disk}:1:0,0,4,4",), names=["anfang", in_video]).by_frame.keys() == {1}


def test_a_number_before_a_box_that_is_a_frame_too_is_explained():
    given_ = read([], ("7:1,1,2,2",))
    assert list(given_.by_frame[0]) == [7]
    assert given_.report == [
        "box 7:1,1,2,2: object 7 on frame 00010; for frame 7 write 7:ID:X,Y,WIDTH,HEIGHT"
    ]
    # ids from 1 on, ids of masks and numbers that are no frames need no explanation
    assert "write" not in "".join(read([], ("1:1,1,2,2", "2:4,1,2,2")).report)
    assert "write" not in "".join(read([], ("99:1,1,2,2",)).report)


def test_a_box_for_an_object_of_a_mask_is_not_explained(tmp_path):
    given_ = read([save(tmp_path / "00013.png", 7)], ("7:1,1,2,2",))
    assert "write" not in "".join(given_.report)


@pytest.mark.parametrize(
    ("masks", "boxes", "options", "message"),
    [
        (np.ones(SIZE, bool), [], {}, "masks must be files, got ndarray; .* pass them to segment"),
        (torch.ones(SIZE), [], {}, "masks must be files, got Tensor"),
        ([], [(1, 2, 3, 4)], {}, "boxes must be texts such as '1:200,120,80,160', got list"),
        ([], ["1,1,3,3"], {"names": []}, "a name for each frame"),
        ([], ["1,1,3,3"], {"size": 6}, "size must be height and width in pixels, got 6"),
    ],
)
def test_wrong_kinds_of_arguments_are_named(masks, boxes, options, message):
    read_ = inspect.unwrap(read_prompts)  # without the checks of types in this test suite
    with pytest.raises(UsageError, match=message):
        read_(masks, boxes, **{"names": NAMES, "size": SIZE, **options})


def test_names_and_size_may_be_any_sequence(tmp_path):
    read_ = inspect.unwrap(read_prompts)
    mask = save(tmp_path / "00012.png", 1)
    for size in ([*SIZE], np.array(SIZE)):
        given_ = read_(mask, names=iter(NAMES), size=size)
        assert ids_by_frame(given_) == {2: [1]}
