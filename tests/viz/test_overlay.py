"""What an overlay changes, and what it leaves alone."""

import numpy as np
import pytest

from maskcast.core.palette import shown_colour_of
from maskcast.viz.overlay import LEAST_DIFFERENCE, contour_of, distinct_colours, draw_overlay


def label_map() -> np.ndarray:
    values = np.zeros((60, 80), dtype=np.int32)
    values[10:50, 10:40], values[10:50, 40:70] = 2, 300
    return values


def test_inside_is_a_mix_of_frame_and_colour():
    picture = np.full((60, 80, 3), 100, dtype=np.uint8)
    painted = draw_overlay(picture, label_map(), tint=0.5, contours=False, ids=False)
    expected = (100 + np.array(shown_colour_of(2))) / 2
    np.testing.assert_allclose(painted[20, 20], expected, atol=1)
    assert not np.array_equal(painted[20, 20], painted[20, 60])
    np.testing.assert_array_equal(painted[0], picture[0])
    np.testing.assert_array_equal(picture, np.full((60, 80, 3), 100))


def test_an_empty_label_map_changes_nothing():
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        draw_overlay(picture, np.zeros((30, 40), dtype=np.int32)), picture
    )


def test_ids_are_written_on_their_objects():
    labels = label_map().repeat(4, axis=0).repeat(4, axis=1)
    picture = np.zeros((240, 320, 3), dtype=np.uint8)
    plain = draw_overlay(picture, labels, contours=False, ids=False)
    written = draw_overlay(picture, labels, contours=False, ids=True)
    changed = (plain != written).any(axis=2)
    for left in (40, 160):
        inside = changed[40:200, left : left + 120]
        ink = written[40:200, left : left + 120][inside]
        assert (ink > 230).all(axis=1).any()
        assert (ink < 25).all(axis=1).any()  # its dark rim
    assert not changed[labels == 0].any()


def test_a_contour_is_the_rim_of_an_object():
    values = np.zeros((6, 7), dtype=np.int32)
    values[1:5, 1:6] = 4
    expected = values.astype(bool)
    expected[2:4, 2:5] = False
    np.testing.assert_array_equal(contour_of(values), expected)
    np.testing.assert_array_equal(contour_of(values, 2), values.astype(bool))


def test_two_objects_that_touch_have_a_line_between_them():
    values = np.ones((4, 6), dtype=np.int32)
    values[:, 3:] = 2
    expected = np.zeros((4, 6), dtype=bool)
    expected[:, 2:4] = True
    np.testing.assert_array_equal(contour_of(values), expected)


def corner_of(width: int, absent: tuple[int, ...], colour: int = 90) -> np.ndarray:
    """The pixels that a list of absent objects changes in a picture of one colour."""
    picture = np.full((120, width, 3), colour, dtype=np.uint8)
    painted = draw_overlay(picture, np.zeros((120, width), dtype=np.int32), absent=absent)
    changed = (painted != picture).any(axis=2)
    rows, columns = changed.nonzero()
    assert rows.min() > 0 and rows.max() < 30
    return painted[: rows.max() + 1, : columns.max() + 1]


def test_absent_objects_are_listed_in_a_corner():
    for colour in (0, 255):  # readable on any ground
        corner = corner_of(208, (2, 4), colour)
        assert (corner > 200).all(axis=2).sum() > 60  # the letters
        assert (corner[3:-1, 3:-1] < 80).all(axis=2).mean() > 0.5  # the plate
        for object_id in (2, 4):
            assert (corner == shown_colour_of(object_id)).all(axis=2).sum() > 5  # its colour
    assert corner_of(208, (2, 4, 5)).shape[1] > corner_of(208, (2, 4)).shape[1]


def test_a_long_list_of_absent_objects_ends_inside_the_picture():
    for width in (100, 208):
        assert corner_of(width, tuple(range(1, 60))).shape[1] < width


def difference(one, other) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def test_neighbouring_ids_never_share_a_colour():
    shades = distinct_colours(range(1, 600), {})
    pairs = [difference(shades[i], shades[i + 1]) for i in range(1, 599)]
    assert min(pairs) >= LEAST_DIFFERENCE
    far_apart = distinct_colours([1, 8], {})  # ids above 7 take the palette again
    assert difference(far_apart[1], far_apart[8]) >= LEAST_DIFFERENCE
    many = {i: shown_colour_of(i) for i in range(1, 8)}  # every colour is taken
    last = distinct_colours([*many, 20], many)[20]
    assert difference(last, many[7]) >= LEAST_DIFFERENCE


def test_objects_with_the_colour_of_another_one_are_hatched():
    picture = np.zeros((360, 480, 3), np.uint8)
    counts = []
    for object_id in (1, 8, 15):
        label_map = np.full((360, 480), object_id, np.int32)
        painted = draw_overlay(picture, label_map, contours=False, ids=False)
        full = (painted == shown_colour_of(object_id)).all(axis=2)
        counts.append(np.count_nonzero(full))
        assert (painted[~full] == painted[~full][0]).all()  # the tint
    assert counts[0] == 0
    assert 0.2 < counts[1] / label_map.size < 0.3
    assert 0.4 < counts[2] / label_map.size < 0.5


def test_colours_of_the_palette_give_way_to_those_that_were_chosen():
    usual = distinct_colours([1, 2, 3], {})
    chosen = distinct_colours([1, 2, 3], {2: usual[1]})
    assert chosen[2] == usual[1]
    assert difference(chosen[1], chosen[2]) >= LEAST_DIFFERENCE
    assert chosen[3] == usual[3]


def test_outlines_leave_the_inside_as_it_is():
    picture = np.full((60, 80, 3), 77, dtype=np.uint8)
    painted = draw_overlay(picture, label_map(), tint=0, ids=False)
    contour = contour_of(label_map())
    inside = (label_map() != 0) & ~contour
    np.testing.assert_array_equal(painted[inside], picture[inside])
    assert (painted[contour] != picture[contour]).any(axis=1).all()


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (240, 48, 48), (128, 128, 128)])
def test_contours_differ_from_what_lies_below(ground):
    picture = np.full((60, 80, 3), ground, dtype=np.uint8)
    painted = draw_overlay(picture, np.minimum(label_map(), 1), ids=False).astype(int)
    mask = label_map() != 0
    contour, outline = contour_of(mask.astype(np.int32)), contour_of((~mask).astype(np.int32))
    across = np.abs(painted[contour].mean(axis=0) - painted[outline].mean(axis=0)).sum()
    assert across >= LEAST_DIFFERENCE


def test_names_may_stand_in_the_corner():
    picture = np.full((120, 300, 3), 90, dtype=np.uint8)
    labels = np.zeros((120, 300), np.int32)
    labels[60:100, 40:90] = 3
    plain = draw_overlay(picture, labels, ids=False)
    listed = draw_overlay(picture, labels, listed=True, absent=(5,), names={3: "dog"})
    rows, columns = (listed != plain).any(axis=2).nonzero()
    assert rows.max() < 30
    only_absent = draw_overlay(picture, labels, ids=False, absent=(5,))
    wider = (only_absent != plain).any(axis=2).nonzero()[1].max()
    assert columns.max() > wider
