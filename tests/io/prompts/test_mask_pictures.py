"""Each way to paint a mask, and what its values are taken for."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.painted_masks import paint, paint_sharply, paint_softly
from maskcast.core.errors import PromptError, UsageError
from maskcast.core.palette import PALETTE
from maskcast.io.prompts.mask_pictures import read_mask_picture
from maskcast.io.prompts.reading import describe_masks


def save(path: Path, values: object, mode: str | None = None) -> Path:
    picture = Image.fromarray(np.array(values))
    if mode == "P":
        picture.putpalette([value for value in range(256) for _ in range(3)])
    picture.save(path)
    return path


def ids_in(frame) -> dict:
    return {label: int(mark.sum()) for label, mark in frame.marks.items()}


def test_indexed_values_are_ids_255_too(tmp_path):
    values = np.array([[0, 1, 1], [7, 255, 0]], dtype=np.uint8)
    frame = read_mask_picture(save(tmp_path / "a.png", values, "P"))
    assert (frame.kind, frame.frame_key, frame.notes) == ("indexed", "a", [])
    assert ids_in(frame) == {1: 2, 7: 1, 255: 1}
    np.testing.assert_array_equal(frame.marks[7], values == 7)


@pytest.mark.parametrize("values", [[[0, 1]], [[0, 255]], [[255, 255]], [[0, 2]]])
def test_indexed_values_stay_ids_even_if_there_is_one(tmp_path, values):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array(values, dtype=np.uint8), "P"))
    assert set(ids_in(frame)) == {max(values[0])}


def test_16_bit_values_are_ids(tmp_path):
    values = np.array([[0, 255, 256, 40000]], dtype=np.uint16)
    frame = read_mask_picture(save(tmp_path / "a.png", values))
    assert (frame.kind, ids_in(frame)) == ("16-bit grey", {255: 1, 256: 1, 40000: 1})


@pytest.mark.parametrize(
    ("values", "count"), [([[0, 1, 1]], 2), ([[0, 255, 255]], 2), ([[255, 255]], 2), ([[1]], 1)]
)
def test_a_grey_mask_of_one_value_is_object_1_and_says_so(tmp_path, values, count):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array(values, dtype=np.uint8)))
    assert ids_in(frame) == {1: count}
    assert "is one object, id 1" in frame.notes[0]


def test_other_grey_values_are_ids(tmp_path):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array([[0, 2, 255]], dtype=np.uint8)))
    assert ids_in(frame) == {2: 1, 255: 1}


def test_32_grey_values_are_ids_and_33_are_soft_edges(tmp_path):
    path = save(tmp_path / "a.png", np.arange(32, dtype=np.uint8).reshape(4, 8))
    assert len(ids_in(read_mask_picture(path))) == 31
    path = save(tmp_path / "b.png", np.arange(33, dtype=np.uint8).reshape(3, 11))
    with pytest.raises(PromptError, match=r"b\.png has 33 grey values.*set mask_threshold"):
        read_mask_picture(path)


def test_a_threshold_cuts_soft_edges(tmp_path):
    path = save(tmp_path / "a.png", np.arange(256, dtype=np.uint8).reshape(16, 16))
    frame = read_mask_picture(path, mask_threshold=100)
    assert ids_in(frame) == {1: 156}
    assert "from 100 on" in frame.notes[0]
    with pytest.raises(UsageError, match=r"must be in .1, 255., got 300"):
        read_mask_picture(path, mask_threshold=300)


def test_a_mask_without_objects(tmp_path):
    frame = read_mask_picture(save(tmp_path / "a.png", np.zeros((2, 3), dtype=np.uint8)))
    assert frame.marks == {}


def test_black_and_white(tmp_path):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array([[True, False]])))
    assert ids_in(frame) == {1: 1}


RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


def test_flat_colours_are_objects_in_the_order_of_reading(tmp_path):
    values = np.array([[BLACK, BLUE, RED], [RED, RED, BLACK]], dtype=np.uint8)
    frame = read_mask_picture(save(tmp_path / "a.png", values))
    assert (frame.kind, list(frame.marks)) == ("flat colours", ["#0000ff", "#ff0000"])
    assert ids_in(frame) == {"#0000ff": 1, "#ff0000": 3}


def test_grey_stored_as_colours_is_read_as_grey(tmp_path):
    values = np.array([[0, 3, 5]], dtype=np.uint8)[..., None].repeat(3, axis=2)
    assert ids_in(read_mask_picture(save(tmp_path / "a.png", values))) == {3: 1, 5: 1}


def test_transparency_is_background(tmp_path):
    clear, black = (0, 0, 0, 0), (0, 0, 0, 255)
    values = np.array([[clear, (*RED, 255), black], [clear, (9, 9, 9, 0), black]], dtype=np.uint8)
    frame = read_mask_picture(save(tmp_path / "a.png", values))
    assert ids_in(frame) == {"#ff0000": 1, "#000000": 2}


def test_half_transparent_or_many_colours_are_refused(tmp_path):
    half = np.array([[(*RED, 255), (*RED, 128)]], dtype=np.uint8)
    with pytest.raises(PromptError, match=r"half-transparent pixels.*set mask_threshold"):
        read_mask_picture(save(tmp_path / "a.png", half))
    many = np.zeros((1, 40, 3), dtype=np.uint8)
    many[0, :, 0], many[0, :, 1] = np.arange(40), 200
    with pytest.raises(PromptError, match="40 colours, so it is a photograph"):
        read_mask_picture(save(tmp_path / "b.png", many))


def test_a_jpeg_does_not_keep_ids(tmp_path):
    values = np.zeros((16, 16), dtype=np.uint8)
    values[4:8, 4:8] = 3
    path = save(tmp_path / "a.jpg", values)
    with pytest.raises(PromptError, match=r"a\.jpg is a JPEG.*set mask_threshold"):
        read_mask_picture(path)
    assert set(read_mask_picture(path, 2).marks) == {1}


def test_a_16_bit_picture_with_more_values_than_objects_is_refused(tmp_path):
    values = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    assert len(read_mask_picture(save(tmp_path / "ids.png", values)).marks) == 1023
    soft = np.arange(1025, dtype=np.uint16)[None] * 60
    with pytest.raises(PromptError, match=r"1025 different values.*set mask_threshold"):
        read_mask_picture(save(tmp_path / "soft.png", soft))


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(PromptError, match=r"cannot read .* as an image"):
        read_mask_picture(tmp_path / "a.png")


def indexed(path: Path, values: np.ndarray, palette: list[tuple[int, ...]], **options) -> Path:
    picture = Image.fromarray(values.astype(np.uint8))
    picture.putpalette([channel for colour in palette for channel in colour])
    picture.save(path, **options)
    return path


TWO_OBJECTS = np.array([[0, 0, 1], [2, 2, 0]])
GREEN = (0, 255, 0)
DAVIS_RED, DAVIS_GREEN = (128, 0, 0), (0, 128, 0)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 1]])
@pytest.mark.parametrize("colours", [(DAVIS_RED, DAVIS_GREEN), (RED, GREEN)])
def test_an_indexed_picture_shows_the_same_objects_in_any_order_of_its_palette(
    tmp_path, order, colours
):
    palette = [None, None, None]
    for value, index in enumerate(order):
        palette[index] = [BLACK, *colours][value]
    path = indexed(tmp_path / "a.png", np.array(order)[TWO_OBJECTS], palette)
    first, second = ("#" + bytes(colour).hex() for colour in colours)
    if order != [0, 1, 2] or colours[0] == RED:
        assert ids_in(read_mask_picture(path)) == {first: 1, second: 2}
    if colours[0] == DAVIS_RED:  # the colours of label maps keep their ids
        assert shown_ids(describe_masks(path)) == [("1", "1"), ("2", "2")]


def shown_ids(lines: list[str]) -> list[tuple[str, str]]:
    """The ids in a description and their pixels, in ascending order."""
    return sorted(re.findall(r"(\d+) \((\d+) pixels\)", "\n".join(lines)))


@pytest.mark.parametrize(
    ("palette", "kept"),
    [
        ([BLACK, DAVIS_RED, DAVIS_GREEN], {1: 1, 2: 2}),
        ([BLACK] * 3, {1: 1, 2: 2}),  # a palette that says nothing
        ([(0, 0, 0), (1, 1, 1), (2, 2, 2)], {1: 1, 2: 2}),
    ],
)
def test_values_are_ids_with_the_palette_of_label_maps(tmp_path, palette, kept):
    assert ids_in(read_mask_picture(indexed(tmp_path / "a.png", TWO_OBJECTS, palette))) == kept


def test_the_palettes_of_voc_and_davis_are_those_of_label_maps(tmp_path):
    voc = [tuple(192 if c == 191 else c for c in colour) for colour in PALETTE]
    davis = [*PALETTE[:22], *((i, i, i) for i in range(22, 256))]
    for palette in (list(PALETTE), voc, davis):
        values = np.array([[0, 9, 9], [30, 255, 0]])
        assert ids_in(read_mask_picture(indexed(tmp_path / "a.png", values, palette))) == {
            9: 2, 30: 1, 255: 1,
        }  # fmt: skip


def test_values_number_the_colours_of_another_palette_that_begins_with_black(tmp_path):
    palette = [BLACK, (236, 95, 103), (249, 145, 87), (250, 200, 99), (153, 199, 148)]
    values = np.array([[4, 4, 0], [2, 0, 0]])
    lines = describe_masks(indexed(tmp_path / "a.png", values, palette))
    assert shown_ids(lines) == [("2", "1"), ("4", "2")]
    assert {"#f99157 gets object id 2", "#99c794 gets object id 4"} <= {*lines}


def test_a_palette_that_leaves_the_objects_open_is_refused(tmp_path):
    no_black = [(255, 255, 255), RED, GREEN]
    with pytest.raises(PromptError, match="palette without black"):
        read_mask_picture(indexed(tmp_path / "a.png", TWO_OBJECTS, no_black))
    with pytest.raises(PromptError, match="several values the same colour"):
        read_mask_picture(indexed(tmp_path / "b.png", TWO_OBJECTS, [BLACK, RED, RED]))


def test_transparent_values_of_a_palette_are_background(tmp_path):
    path = tmp_path / "a.png"
    indexed(path, TWO_OBJECTS, [(9, 9, 9), RED, GREEN], transparency=0)
    assert ids_in(read_mask_picture(path)) == {"#ff0000": 1, "#00ff00": 2}


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.tif", "a.bmp"])
def test_quantised_pictures_are_read_by_their_colours(tmp_path, name):
    colours = paint([RED, GREEN, (255, 255, 255)], "RGB")
    truth = {"#" + bytes(colour).hex(): count for count, colour in colours.getcolors()}
    del truth["#000000"]
    for quantised in (colours.quantize(8), colours.convert("P"), colours.quantize(4, method=2)):
        quantised.save(tmp_path / name)
        assert ids_in(read_mask_picture(tmp_path / name)) == truth


def test_a_label_map_saved_again_in_colours_keeps_all_its_ids(tmp_path):
    values = np.array([[0, 30, 30], [8, 255, 0]], dtype=np.uint8)
    path = indexed(tmp_path / "a.png", values, list(PALETTE))
    Image.open(path).convert("RGB").save(tmp_path / "b.png")
    Image.open(path).convert("RGB").quantize(16).save(tmp_path / "c.png")
    for name in ("b.png", "c.png"):
        shown = shown_ids(describe_masks(tmp_path / name))
        assert shown == [("255", "1"), ("30", "2"), ("8", "1")]


SOFT_ALPHA = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None], 40, axis=0)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (240, 230, 140), (10, 20, 30)])
def test_a_threshold_cuts_the_alpha_channel_of_a_matte(tmp_path, colour):
    pixels = np.zeros((40, 64, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = colour, SOFT_ALPHA
    frame = read_mask_picture(save(tmp_path / "a.png", pixels), 128)
    np.testing.assert_array_equal(frame.marks[1], SOFT_ALPHA >= 128)
    assert "alpha values from 128" in frame.notes[0]


def test_a_threshold_cuts_the_alpha_channel_of_a_cut_out_and_of_grey(tmp_path):
    rng = np.random.default_rng(3)
    photo = rng.integers(0, 256, (40, 64, 4)).astype(np.uint8)
    photo[..., 3] = SOFT_ALPHA
    with pytest.raises(PromptError, match="set mask_threshold"):
        read_mask_picture(save(tmp_path / "a.png", photo))
    assert (read_mask_picture(tmp_path / "a.png", 100).marks[1] == (SOFT_ALPHA >= 100)).all()
    Image.fromarray(photo[..., 2:]).save(tmp_path / "b.png")  # grey and alpha
    assert (read_mask_picture(tmp_path / "b.png", 100).marks[1] == (SOFT_ALPHA >= 100)).all()


def test_a_threshold_applies_to_16_bits_and_to_palettes(tmp_path):
    deep = np.linspace(0, 65535, 64 * 40).reshape(40, 64).astype(np.uint16)
    frame = read_mask_picture(save(tmp_path / "a.png", deep), 128)
    np.testing.assert_array_equal(frame.marks[1], deep >= 128 * 257)
    grey = indexed(tmp_path / "b.png", SOFT_ALPHA, [(i, i, i) for i in range(256)])
    np.testing.assert_array_equal(read_mask_picture(grey, 128).marks[1], SOFT_ALPHA >= 128)
    turned = indexed(tmp_path / "c.png", 255 - SOFT_ALPHA, [(255 - i,) * 3 for i in range(256)])
    np.testing.assert_array_equal(read_mask_picture(turned, 128).marks[1], SOFT_ALPHA >= 128)


def test_a_threshold_leaves_label_maps_alone(tmp_path):
    path = indexed(tmp_path / "a.png", TWO_OBJECTS, list(PALETTE))
    frame = read_mask_picture(path, 128)
    assert ids_in(frame) == {1: 1, 2: 2}
    assert "the threshold does not apply" in frame.notes[0]


def test_a_soft_16_bit_matte_is_refused_and_16_bit_ids_are_not(tmp_path):
    soft = np.array(paint_softly([255], "L", Image.Resampling.BOX)).astype(np.uint16) * 257
    with pytest.raises(PromptError, match=r"are soft edges.*set mask_threshold"):
        read_mask_picture(save(tmp_path / "a.png", soft))
    assert set(read_mask_picture(tmp_path / "a.png", 128).marks) == {1}
    ids = paint_sharply([3, 90, 200], "L").astype(np.uint16) * 300
    assert set(read_mask_picture(save(tmp_path / "b.png", ids)).marks) == {900, 27000, 60000}


@pytest.mark.parametrize("name", ["a.tif", "a.gif", "a.webp", "a.png"])
def test_several_pages_are_refused(tmp_path, name):
    pages = [Image.fromarray(np.full((9, 9), value, np.uint8)) for value in (0, 200, 90)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(PromptError, match=r"has 3 (pages|frames of an animation); save the one"):
        read_mask_picture(tmp_path / name)


def test_white_in_16_bits_is_object_1(tmp_path):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array([[0, 65535, 65535]], np.uint16)))
    assert ids_in(frame) == {1: 2}
    assert "its only value 65535 is one object" in frame.notes[0]
    both = np.array([[0, 65535, 300]], np.uint16)
    assert ids_in(read_mask_picture(save(tmp_path / "b.png", both))) == {65535: 1, 300: 1}
