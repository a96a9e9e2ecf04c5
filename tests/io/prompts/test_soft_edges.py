"""Soft edges of painted masks: which levels are edges, and where their pixels go."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fixtures.painted_masks import FINER, paint, paint_sharply, paint_softly
from maskcast.core.errors import PromptError
from maskcast.io.prompts.mask_pictures import read_mask_picture
from maskcast.io.prompts.soft_edges import interpolated_pixels, settle_edges

FILTERS = [Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.HAMMING]
BRIGHT = [(255, 0, 0), (0, 0, 255), (255, 255, 255)]
ROUNDING = 20
"""Pixels of an outline that a sharp drawing decides differently."""


def settle(grey: np.ndarray) -> tuple[np.ndarray, int, int]:
    values, codes = np.unique(grey, return_inverse=True)
    settled = settle_edges(codes.reshape(grey.shape), values[:, None].astype(float))
    return values[settled.codes], settled.moved, settled.unclear


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize(
    ("mode", "values", "kind"),
    [
        ("L", [60, 160, 255], "8-bit grey"),
        ("RGB", [(60, 60, 60), (160, 160, 160), (255, 255, 255)], "grey stored as colours"),
        ("RGB", BRIGHT, "flat colours"),
        ("RGB", [(128, 0, 0), (0, 128, 0), (0, 0, 128)], "flat colours"),
        ("RGBA", [(*colour, 255) for colour in BRIGHT], "flat colours"),
        ("RGBA", [(0, 0, 0, 255), (0, 0, 255, 255), (9, 9, 9, 255)], "flat colours"),
    ],
)
def test_objects_painted_with_a_soft_brush_are_found(tmp_path, mode, values, kind, filter_):
    picture = paint_softly(values, mode, filter_)
    picture.save(tmp_path / "a.png")
    frame = read_mask_picture(tmp_path / "a.png")
    assert frame.kind == kind
    sharp = paint_sharply(values, mode)
    assert len(frame.marks) == 3
    for value in values:
        shown = value if isinstance(value, int) else value[0]
        label = shown if "grey" in kind else "#" + bytes(value[:3]).hex()
        truth = sharp == value if sharp.ndim == 2 else (sharp == np.array(value)).all(axis=2)
        assert (frame.marks[label] != truth).sum() <= ROUNDING
    assert any("on soft edges go to the nearer of the two" in note for note in frame.notes)


@pytest.mark.parametrize("filter_", [*FILTERS, Image.Resampling.LANCZOS])
def test_one_object_with_soft_edges_is_object_1(tmp_path, filter_):
    paint_softly([255], "L", filter_).save(tmp_path / "a.png")
    (label, mask), *others = read_mask_picture(tmp_path / "a.png").marks.items()
    assert (label, others) == (1, [])
    assert (mask != (paint_sharply([255], "L") > 0)).sum() <= ROUNDING + 5


def test_a_mask_enlarged_smoothly_keeps_its_objects(tmp_path):
    sharp = Image.fromarray(paint_sharply(BRIGHT, "RGB"))
    sharp.resize((256, 192), Image.Resampling.BILINEAR).save(tmp_path / "a.png")
    frame = read_mask_picture(tmp_path / "a.png")
    truth = np.asarray(sharp.resize((256, 192), Image.Resampling.NEAREST))
    assert len(frame.marks) == 3
    for colour in BRIGHT:
        mask = frame.marks["#" + bytes(colour).hex()]
        assert (mask != (truth == np.array(colour)).all(axis=2)).sum() <= ROUNDING


def test_the_nearer_of_the_two_is_that_of_the_colour():
    grey = np.zeros((12, 20), np.uint8)
    grey[:, 10:] = 200
    grey[:, 9], grey[:, 10] = 90, 110
    settled, moved, unclear = settle(grey)
    assert (moved, unclear) == (24, 0)
    assert (settled[:, :10] == 0).all()
    assert (settled[:, 10:] == 200).all()


@pytest.mark.parametrize(
    ("rows", "columns", "value"),
    [
        ((2, 4), (2, 4), 100),  # far from the border
        ((4, 8), (8, 12), 100),  # wider than an edge, so flat
        ((5, 6), (9, 11), 230),  # not between the two
        ((5, 6), (4, 10), 100),  # a line that leaves the border
    ],
)
def test_other_levels_stay_objects(rows, columns, value):
    grey = np.zeros((12, 20), np.uint8)
    grey[:, 10:] = 200
    grey[slice(*rows), slice(*columns)] = value
    settled, moved, unclear = settle(grey)
    np.testing.assert_array_equal(settled, grey)
    assert (moved, unclear) == (0, 0)


def test_a_flat_level_that_also_occurs_in_soft_edges_is_only_itself():
    sharp = paint_sharply([80, 160, 240], "L")
    soft = np.array(paint_softly([80, 160, 240], "L", Image.Resampling.BILINEAR))
    soft[0, :10] = sharp[0, :10]
    on_edge = np.argwhere((soft > 0) & (soft < 240) & (np.arange(128) > 98))[3]
    soft[tuple(on_edge)] = 160  # on the border of the square, which is 240
    settled, _, unclear = settle(soft)
    assert unclear == 0
    assert settled[tuple(on_edge)] in (0, 240)


@pytest.mark.parametrize("levels", [4, 12, 30])
def test_without_flat_levels_a_threshold_is_asked_for(tmp_path, levels):
    rows, columns = np.mgrid[:96, :128]
    distance = np.hypot(rows - 48, columns - 64)
    soft = np.clip(255 - distance * 6, 0, 255) // (256 / levels) * (255 // levels)
    soft[1::2] = np.roll(soft[1::2], 1, axis=1) + (soft[1::2] > 0)  # no block of one level
    Image.fromarray(soft.astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(PromptError, match="set mask_threshold"):
        read_mask_picture(tmp_path / "a.png")
    assert set(read_mask_picture(tmp_path / "a.png", 128).marks) == {1}


@pytest.mark.parametrize("filter_", [*FILTERS, Image.Resampling.LANCZOS])
def test_ids_mixed_by_resizing_are_rejected(tmp_path, filter_):
    values = [1, 3, 4]
    picture = paint_softly(values, "L", filter_)
    picture.paste(2, (2, 70, 30, 90))
    picture.save(tmp_path / "a.png")
    with pytest.raises(PromptError, match="ids were mixed by resizing"):
        read_mask_picture(tmp_path / "a.png")


def test_a_label_map_with_thin_objects_is_not_taken_for_resized():
    codes = np.zeros((40, 60), np.int64)
    codes[10:30, 10:30], codes[10:30, 30:50] = 1, 3
    codes[10:30, 29] = 2  # a thin object between two others
    codes[5:7, 5:7] = 2
    assert interpolated_pixels(codes, np.arange(4)) == 0
    mixed = codes.copy()
    mixed[9, 32:50], mixed[30, 30:50], mixed[20:24, 52:58] = 1, 2, 2
    assert interpolated_pixels(mixed, np.arange(4)) == 18 + 20 + 20


@pytest.mark.parametrize("filter_", FILTERS)
def test_thin_parts_of_a_soft_object_belong_to_it(tmp_path, filter_):
    picture = paint([255], "L", FINER)
    ImageDraw.Draw(picture).line([20, 380, 200, 300], fill=255, width=6)  # 1.5 pixels, apart
    ImageDraw.Draw(picture).line([200, 160, 480, 340], fill=255, width=6)  # from the disc
    picture.resize((128, 96), filter_).save(tmp_path / "a.png")
    frame = read_mask_picture(tmp_path / "a.png")
    sharp = np.asarray(picture.resize((128, 96), Image.Resampling.NEAREST)) > 0
    assert list(frame.marks) == [1]
    assert (frame.marks[1] != sharp).sum() < 80
    assert frame.marks[1][75:95, 5:50].sum() > 40


def test_a_thin_part_between_three_greys_is_unclear(tmp_path):
    soft = paint_softly([80, 160, 240], "L", Image.Resampling.BILINEAR)
    picture = np.array(soft)
    picture[90, 10:40:2], picture[90, 11:40:2] = 60, 100  # of the grey 80, or of a lighter one
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(PromptError, match="grey values belong to no object"):
        read_mask_picture(tmp_path / "a.png")


def test_a_picture_of_many_levels_is_refused(tmp_path):
    rng = np.random.default_rng(1)
    picture = np.zeros((160, 160, 3), np.uint8)
    picture[::16, ::16] = 255
    for number in range(64):
        row, column = divmod(number, 8)
        picture[row * 20 : row * 20 + 9, column * 20 : column * 20 + 9] = rng.integers(1, 255, 3)
        edge = slice(column * 20 + 9, column * 20 + 11)
        picture[row * 20 : row * 20 + 9, edge] = rng.integers(0, 255, (9, 2, 3))
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(PromptError, match="soft edges"):
        read_mask_picture(tmp_path / "a.png")


@pytest.mark.parametrize("size", [(512, 384), (300, 250)])
@pytest.mark.parametrize(("mode", "values"), [("L", [255]), ("RGB", BRIGHT)])
def test_a_soft_mask_enlarged_without_smoothing_is_refused(tmp_path, size, mode, values):
    soft = paint_softly(values, mode, Image.Resampling.BILINEAR)
    soft.resize(size, Image.Resampling.NEAREST).save(tmp_path / "a.png")
    with pytest.raises(PromptError, match="set mask_threshold"):
        read_mask_picture(tmp_path / "a.png")
    sharp = Image.fromarray(paint_sharply(values, mode))
    sharp.resize(size, Image.Resampling.NEAREST).save(tmp_path / "b.png")
    assert len(read_mask_picture(tmp_path / "b.png").marks) == len(values)
