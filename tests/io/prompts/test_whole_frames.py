"""A corrected mask shows the whole frame; other masks say nothing about objects they lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.core.palette import PALETTE, colour_of
from maskcast.core.types import ABSENT
from maskcast.io.label_maps import write_label_map
from maskcast.io.prompts.reading import GivenPrompts, read_prompts

SIZE = (6, 8)
NAMES = [f"{number:05d}" for number in range(10)]


def label_map(*ids: int) -> np.ndarray:
    """One column per id from the left, the rest background."""
    values = np.zeros(SIZE, dtype=np.int64)
    for column, object_id in enumerate(ids):
        values[:, column] = object_id
    return values


@pytest.fixture
def first(tmp_path) -> Path:
    """Objects 1 to 3 on the first frame."""
    write_label_map(tmp_path / "00000.png", label_map(1, 2, 3))
    return tmp_path / "00000.png"


def save(folder: Path, name: str, *ids: int) -> Path:
    write_label_map(folder / name, label_map(*ids))
    return folder / name


def read(first: Path, *corrected: Path, masks: tuple[Path, ...] = (), **options) -> GivenPrompts:
    masks = (first, *masks)
    return read_prompts(masks, **{"corrected": corrected, "names": NAMES, "size": SIZE, **options})


def test_objects_that_a_corrected_mask_lacks_are_absent(first, tmp_path):
    given = read(first, save(tmp_path, "00004.png", 2))
    assert given.by_frame[4][1] is given.by_frame[4][3] is ABSENT
    assert torch.equal(given.by_frame[4][2], torch.from_numpy(label_map(2) == 2))
    assert given.report[-1] == (
        "frame 00004: objects 1, 3 are absent, because the corrected mask does not show them"
    )


def test_a_mask_says_nothing_about_objects_that_it_lacks_and_one_line_says_so(first, tmp_path):
    masks = tuple(save(tmp_path, f"{number:05d}.png", 2) for number in (4, 5, 6, 7, 8))
    given = read(first, masks=masks[:1])
    assert list(given.by_frame[4]) == [2]
    assert given.report[-1].startswith(
        "the masks do not show objects 1, 3 on frame 00004: tracking"
    )
    given = read(first, masks=masks, absent=["4:1", "5:1,3"])
    assert sum("do not show" in line for line in given.report) == 1
    assert "object 3 on frame 00004; objects 1, 3 on frame 00006; " in given.report[-1]
    given = read(first, masks=masks)
    assert "frame 00006; others on further frames (2): tracking" in given.report[-1]


def test_a_whole_mask_or_one_of_new_objects_needs_no_line(first, tmp_path):
    given = read(first, masks=(save(tmp_path, "00004.png", 1, 2, 3),))
    assert not any("do not show" in line for line in given.report)
    assert not any("do not show" in line for line in read(first).report)


def test_a_corrected_mask_may_be_all_background(first, tmp_path):
    empty = save(tmp_path, "00004.png")
    assert set(read(first, empty).by_frame[4].values()) == {ABSENT}
    with pytest.raises(PromptError, match="give it as a corrected mask"):
        read(first, masks=(empty,))
    given = read_prompts([], ["1,1,2,2"], corrected=[empty], **{"names": NAMES, "size": SIZE})
    assert given.by_frame[4] == {1: ABSENT}
    with pytest.raises(PromptError, match="every pixel is background"):
        read_prompts([], corrected=[empty], names=NAMES, size=SIZE)


def test_only_tracked_objects_are_absent(first, tmp_path):
    later = save(tmp_path, "00006.png", 5)
    corrected = save(tmp_path, "00004.png", 1, 9)
    given = read(first, corrected, masks=(later,), ends=["4:3"])
    assert {i for i, prompt in given.by_frame[4].items() if prompt is ABSENT} == {2}
    assert given.by_frame[4].keys() == {1, 2, 9}  # 9 begins, 3 has ended, 5 begins later
    given = read(first, corrected, masks=(later,), ends=["4:3"], goes_backward=True)
    assert {i for i, prompt in given.by_frame[4].items() if prompt is ABSENT} == {2, 5}


def test_a_mask_or_an_absence_of_the_same_frame_counts_too(first, tmp_path):
    corrected = save(tmp_path, "00004.png", 1)
    other = save(tmp_path / "other", "00004.png", 0, 2)
    given = read(first, corrected, masks=(other,), absent=["4:3"])
    assert [i for i, prompt in given.by_frame[4].items() if prompt is ABSENT] == [3]
    with pytest.raises(PromptError, match="object 1 has a mask or a box on frame 00004"):
        read(first, corrected, absent=["4:1"])


def test_folders_and_errors_are_those_of_masks(first, tmp_path):
    for name in ("00004.png", "00006.png"):
        save(tmp_path / "fixed", name, 1, 2)
    given = read(first, tmp_path / "fixed")
    assert [given.by_frame[frame][3] for frame in (4, 6)] == [ABSENT, ABSENT]
    for path, error in (
        (tmp_path / "none.png", MissingFileError),
        (save(tmp_path, "00099.png", 1), PromptError),
    ):
        with pytest.raises(error) as caught:
            read(first, path)
        assert caught.value.options == ("corrected",)


def as_rgb(path: Path) -> None:
    with Image.open(path) as picture:
        picture.convert("RGB").save(path)


def as_rgba_without_background(path: Path) -> None:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGBA")).copy()
    pixels[pixels[..., :3].sum(axis=2) == 0, 3] = 0
    Image.fromarray(pixels).save(path)


def with_another_palette(path: Path) -> None:
    """As programs save that build a palette of the colours in use."""
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    quantized = rgb.quantize(256)
    assert not np.array_equal(np.asarray(quantized), np.asarray(Image.open(path)))
    quantized.save(path)


@pytest.mark.parametrize("save_as", [as_rgb, as_rgba_without_background, with_another_palette])
@pytest.mark.parametrize("ids", [(1, 2), (7,), (30, 200), (255, 22, 3), (56, 7)])
def test_a_copy_of_our_label_map_keeps_its_ids(ids, save_as, tmp_path):
    start = save(tmp_path, "first.png", *range(1, 6))
    copy = save(tmp_path, "00004.png", *ids)
    save_as(copy)
    given = read(start, copy)
    shown = {i: p for i, p in given.by_frame[4].items() if isinstance(p, torch.Tensor)}
    assert shown.keys() == set(ids)
    for object_id, mask in shown.items():
        assert torch.equal(mask, torch.from_numpy(label_map(*ids) == object_id))


def test_a_copy_keeps_its_ids_beside_a_threshold_for_a_soft_mask(tmp_path):
    soft = np.linspace(0, 255, 48).reshape(SIZE).astype(np.uint8)
    Image.fromarray(soft).save(tmp_path / "first.png")
    copy = save(tmp_path, "00004.png", 1, 2)
    as_rgb(copy)
    given = read(tmp_path / "first.png", copy, mask_threshold=128)
    assert list(given.by_frame[4]) == [1, 2]


def test_an_object_added_in_a_new_colour_changes_no_other_id(first, tmp_path):
    pixels = np.array(PALETTE, dtype=np.uint8)[label_map(2, 3)]
    pixels[:, 5] = (255, 255, 0)
    assert (255, 255, 0) not in PALETTE
    Image.fromarray(pixels).save(tmp_path / "00004.png")
    given = read(first, tmp_path / "00004.png")
    assert {i for i, prompt in given.by_frame[4].items() if prompt is ABSENT} == {1}
    assert given.by_frame[4].keys() == {1, 2, 3, 4}
    assert "#ffff00 gets object id 4" in given.report


def test_colours_of_the_first_mask_do_not_change_what_our_colours_mean(tmp_path):
    """Red is object 1 of the first mask, but ours is another red."""
    pixels = np.zeros((*SIZE, 3), dtype=np.uint8)
    pixels[:, 0], pixels[:, 1] = (255, 0, 0), colour_of(1)
    Image.fromarray(pixels).save(tmp_path / "first.png")
    copy = save(tmp_path, "00004.png", 1, 2)
    as_rgb(copy)
    given = read(tmp_path / "first.png", copy)
    assert torch.equal(given.by_frame[4][1], torch.from_numpy(label_map(1, 2) == 1))
    assert torch.equal(given.by_frame[4][2], torch.from_numpy(label_map(1, 2) == 2))


def test_ids_above_255_are_kept(tmp_path):
    start = save(tmp_path, "first.png", 300, 70000)
    given = read(start, save(tmp_path, "00004.png", 300, 70000))
    assert list(given.by_frame[4]) == [300, 70000]
