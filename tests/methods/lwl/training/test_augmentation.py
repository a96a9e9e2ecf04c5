"""Crops, jitter and changes of training frames, against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from maskcast.core.errors import ConfigError, DatasetError
from maskcast.core.types import Box
from maskcast.data.clips import DrawnClip
from maskcast.methods.lwl.training.augmentation import process_clip
from maskcast.methods.lwl.training.clip_settings import BoxJitter, ClipProcessing
from maskcast.methods.lwl.training.crops import jitter_box, training_crop

STILL = BoxJitter(0.0, (0.0, 0.0))
PLAIN = ClipProcessing(
    size=(20, 40),
    grey=0.0,
    flip=0.0,
    train_jitter=STILL,
    test_jitter=STILL,
    rotation=0.0,
    log_scale=0.0,
    brightness=0.0,
)


def numbered(height: int, width: int) -> torch.Tensor:
    """An image whose first channel is the column, whose second is the row."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[0] = torch.arange(width)
    image[1] = torch.arange(height).unsqueeze(1)
    return image


def test_a_crop_in_the_middle_is_the_image_itself():
    # box of 8 × 8: the patch is 5 · 8 = 40 in geometric mean, in the shape 1 : 1, so 40 × 40
    crop = training_crop(
        numbered(100, 100), numbered(100, 100)[0], Box(46, 41, 8, 8), size=(40, 40)
    )
    assert crop.area == (30, 25, 40, 40)
    assert torch.equal(crop.image, numbered(100, 100)[:, 25:65, 30:70])
    assert torch.equal(crop.mask, numbered(100, 100)[0, 25:65, 30:70])
    assert crop.target == Box(16, 16, 8, 8)


def test_a_patch_is_moved_into_the_frame_and_its_box_with_it():
    crop = training_crop(numbered(100, 100), numbered(100, 100)[0], Box(0, 0, 8, 8), size=(40, 40))
    assert crop.area == (0, 0, 40, 40)
    assert crop.target == Box(0, 0, 8, 8)


def test_the_last_column_and_row_repeat_the_one_before_where_the_patch_touches_the_border():
    box = Box(92, 92, 8, 8)
    crop = training_crop(numbered(100, 100), torch.ones(100, 100).byte(), box, size=(40, 40))
    assert crop.area == (60, 60, 40, 40)
    assert crop.image[0, 0, -3:].tolist() == [97, 98, 98]
    assert crop.image[1, -3:, 0].tolist() == [97, 98, 98]
    assert crop.mask[:39, :39].all() and not crop.mask[39].any() and not crop.mask[:, 39].any()


def test_a_large_patch_shrinks_until_one_side_fits_and_stands_out_on_the_other():
    # 5 · 30 = 150 on a frame of 100 × 60: shrink by min(1.5, 2.5), then centre 20 rows outside
    crop = training_crop(
        numbered(60, 100), torch.ones(60, 100).byte(), Box(40, 20, 30, 30), size=(50, 50)
    )
    assert crop.area == (0, -20, 100, 100)
    assert not crop.mask[:10].any() and crop.mask[10:39, :49].all() and not crop.mask[40:].any()
    assert (crop.image[1, :10] == 0).all() and (crop.image[1, 40:] == 58).all()


def test_the_mask_takes_the_pixel_at_the_floor_of_its_place():
    image, mask = numbered(90, 90), torch.randint(0, 2, (90, 90), dtype=torch.uint8)
    crop = training_crop(image, mask, Box(30, 30, 9, 9), size=(32, 32))
    x, y, width, height = crop.area
    for row in range(32):
        for column in range(32):
            expected = mask[y + row * height // 32, x + column * width // 32]
            assert crop.mask[row, column] == expected


def test_jitter_follows_its_two_formulas():
    class Drawn(np.random.Generator):
        def standard_normal(self, _count):
            return np.array([1.0, -2.0])

        def uniform(self, _low, _high, _count):
            return np.array([0.5, -0.25])

    drawn = Drawn(np.random.PCG64())
    jittered = jitter_box(Box(10, 20, 4, 9), BoxJitter(0.5, (3.0, 2.0)), drawn)
    width, height = 4 * np.exp(0.5), 9 * np.exp(-1.0)
    side = np.sqrt(width * height)
    assert jittered.width == pytest.approx(width) and jittered.height == pytest.approx(height)
    assert jittered.x + width / 2 == pytest.approx(12 + 0.5 * 3 * side)
    assert jittered.y + height / 2 == pytest.approx(24.5 - 0.25 * 2 * side)


def clip(frames: int = 4) -> DrawnClip:
    generator = np.random.default_rng(1)
    mask = np.zeros((60, 90), dtype=np.uint8)
    mask[20:28, 30:42] = 1
    mask[28, 30:42] = 255
    pictures = tuple(generator.integers(0, 256, (60, 90, 3), dtype=np.uint8) for _ in range(frames))
    return DrawnClip("clip", pictures, (mask,) * frames)


def test_without_any_change_a_sample_is_the_crop_of_each_frame():
    drawn = clip()
    sample = process_clip(drawn, PLAIN, np.random.default_rng(0))
    assert sample.images.shape == (4, 3, 20, 40) and sample.masks.shape == (4, 20, 40)
    for place, frame in enumerate(drawn.frames):
        image = torch.from_numpy(frame).permute(2, 0, 1)
        expected = training_crop(
            image,
            (torch.from_numpy(drawn.masks[0]) == 1).byte(),
            Box(30, 20, 12, 8),
            size=(20, 40),
        )
        assert torch.equal(sample.images[place], expected.image)
        assert torch.equal(sample.masks[place], expected.mask)
        target = expected.target
        expected_box = torch.tensor([target.x, target.y, target.width, target.height])
        torch.testing.assert_close(sample.boxes[place], expected_box)


def test_void_is_background_unless_it_is_kept():
    assert process_clip(clip(), PLAIN, np.random.default_rng(0)).masks.unique().tolist() == [0, 1]
    kept = process_clip(clip(), replace(PLAIN, keep_void=True), np.random.default_rng(0))
    assert kept.masks.unique().tolist() == [0, 1, 255]


def test_test_frames_share_their_flip_and_the_train_frame_has_its_own():
    same = DrawnClip("clip", clip(1).frames * 4, clip(1).masks * 4)
    upright = process_clip(same, PLAIN, np.random.default_rng(0)).images[0]
    seen = set()
    for seed in range(40):
        sample = process_clip(same, replace(PLAIN, flip=0.5), np.random.default_rng(seed))
        flipped = [not torch.equal(image, upright) for image in sample.images]
        assert len(set(flipped[1:])) == 1
        seen.add((flipped[0], flipped[1]))
    assert seen == {(False, False), (False, True), (True, False), (True, True)}


def test_a_flipped_box_is_where_the_flipped_object_is():
    sample = process_clip(clip(), replace(PLAIN, flip=1.0), np.random.default_rng(0))
    for mask, box in zip(sample.masks, sample.boxes, strict=True):
        columns, rows = mask.any(dim=0).nonzero(), mask.any(dim=1).nonzero()
        assert abs(columns[0].item() - box[0].item()) <= 1
        assert abs(columns[-1].item() + 1 - (box[0] + box[2]).item()) <= 1
        assert abs(rows[0].item() - box[1].item()) <= 1


def test_grey_has_the_published_weights():
    picture = np.zeros((60, 90, 3), dtype=np.uint8)
    picture[:] = (200, 100, 50)
    drawn = DrawnClip("clip", (picture,) * 2, clip(2).masks)
    sample = process_clip(drawn, replace(PLAIN, grey=1.0), np.random.default_rng(0))
    # red has the weight of blue and the other way about: 0.114 · 200 + 0.587 · 100 + 0.299 · 50
    assert sample.images.unique().tolist() == [96]


def test_brightness_is_a_factor_that_is_clamped():
    picture = np.full((60, 90, 3), 100, dtype=np.uint8)
    picture[..., 1] = 250
    drawn = DrawnClip("clip", (picture,) * 4, clip(4).masks)
    found = [
        process_clip(drawn, replace(PLAIN, brightness=0.2), np.random.default_rng(seed)).images
        for seed in range(30)
    ]
    reds = torch.stack([images[:, 0, 0, 0] for images in found]).flatten().float()
    assert 80 <= reds.min() < 84 and 116 < reds.max() <= 120
    for images in found:
        factor = images[:, 0, 0, 0] / 100
        assert torch.all((images[:, 1, 0, 0] - (250 * factor).clamp(max=255)).abs() <= 1.8)


def test_turning_brings_in_black_and_background():
    picture = np.full((60, 90, 3), 200, dtype=np.uint8)
    everything = np.ones((60, 90), dtype=np.uint8)
    drawn = DrawnClip("clip", (picture,), (everything,))
    turned = process_clip(
        drawn, replace(PLAIN, size=(40, 40), rotation=15.0), np.random.default_rng(2)
    )
    assert turned.images[0, :, 0, 0].tolist() == [0, 0, 0] and turned.masks[0, 0, 0] == 0
    assert (turned.images[0, :, 20, 20] == 200).all() and turned.masks[0, 20, 20] == 1


def test_the_same_generator_makes_the_same_sample_and_another_one_another():
    settings = ClipProcessing(size=(24, 40))
    first = process_clip(clip(), settings, np.random.default_rng(3))
    again = process_clip(clip(), settings, np.random.default_rng(3))
    other = process_clip(clip(), settings, np.random.default_rng(4))
    assert torch.equal(first.images, again.images) and torch.equal(first.boxes, again.boxes)
    assert not torch.equal(first.images, other.images)


def test_nonsense_is_refused():
    with pytest.raises(ConfigError, match=r"must be in \[0, 1[])], got"):
        ClipProcessing(flip=1.5)
    with pytest.raises(ConfigError, match="at least 0"):
        BoxJitter(-0.1, (0.0, 0.0))
    with pytest.raises(ConfigError, match=r"(rotation|log_scale) must be finite and at least 0"):
        ClipProcessing(rotation=-15.0)


def presence(*masks: np.ndarray, **changes: object) -> list[int]:
    """Truth of presence on a clip of 100 × 100 pictures, cropped around one box."""
    frames = (np.zeros((100, 100, 3), dtype=np.uint8),) * len(masks)
    drawn = DrawnClip("clip", frames, masks, (Box(25, 20, 10, 10),) * len(masks))
    settings = replace(PLAIN, **{"size": (50, 50), **changes})
    sample = process_clip(drawn, settings, np.random.default_rng(0))
    assert sample.visible.dtype == torch.int8
    return sample.visible.tolist()


def spot(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((100, 100), dtype=np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def test_an_object_is_visible_from_a_thousandth_of_the_picture_in_the_crop():
    # the crop is rows 0 to 49 and columns 5 to 54; a thousandth of the picture is 10 pixels
    masks = [spot(20, 20, 2, 5), spot(20, 20, 3, 3), spot(0, 0, 0, 0), spot(60, 60, 20, 20)]
    assert presence(*masks) == [1, -1, 0, 0]
    # 2 of its 10 columns are in the crop, so 20 pixels, then 1 of 10 with 9 rows
    assert presence(spot(10, 53, 10, 10), spot(10, 54, 9, 10)) == [1, -1]


def test_an_object_is_not_absent_where_the_smaller_crop_has_lost_its_pixels():
    pixel = spot(21, 21, 1, 1)
    assert presence(pixel, size=(10, 10)) == [-1]


def test_an_object_that_the_affine_pushes_out_is_neither_visible_nor_absent():
    # a scale of exp(±0.2) about the centre of the crop and 45° to either side
    corner = spot(0, 5, 4, 4)
    seen = {
        process_clip(
            DrawnClip("c", (np.zeros((100, 100, 3), np.uint8),), (corner,), (Box(25, 20, 10, 10),)),
            replace(PLAIN, size=(50, 50), rotation=45.0, log_scale=0.2),
            np.random.default_rng(seed),
        ).visible.item()
        for seed in range(40)
    }
    assert seen == {-1, 1}


def box_of(mask: torch.Tensor) -> list[float]:
    """Left, top, right and bottom of a mask."""
    columns, rows = mask.any(dim=0).nonzero(), mask.any(dim=1).nonzero()
    ends = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return [float(each) for each in ends]


def rounded_blob() -> DrawnClip:
    """A clip of one frame of 200 × 200 with an uneven object in its middle."""
    rows, columns = np.mgrid[:200, :200]
    ellipse = (columns - 95) ** 2 / 20**2 + (rows - 105) ** 2 / 9**2 < 1
    mask = (ellipse | ((rows > 80) & (rows < 105) & (columns > 100) & (columns < 108))).astype(
        np.uint8
    )
    return DrawnClip("blob", (np.zeros((200, 200, 3), dtype=np.uint8),), (mask,))


def test_the_box_is_that_of_the_turned_and_scaled_object():
    settings = replace(PLAIN, size=(160, 200), rotation=40.0, log_scale=0.3, flip=0.5)
    for seed in range(25):
        sample = process_clip(rounded_blob(), settings, np.random.default_rng(seed))
        x, y, width, height = sample.boxes[0].tolist()
        found = [x, y, x + width, y + height]
        # pixels are cut and turned to the nearest one, so a side may be off by about one pixel
        np.testing.assert_allclose(found, box_of(sample.masks[0]), atol=1.5)


def test_the_box_of_an_object_that_leaves_the_crop_reaches_beyond_it():
    settings = replace(PLAIN, size=(160, 160), search_area=1.0, rotation=0.0, log_scale=0.3)
    beyond = 0
    for seed in range(12):
        sample = process_clip(rounded_blob(), settings, np.random.default_rng(seed))
        wider = replace(settings, size=(160, 160), search_area=3.0)
        whole = process_clip(rounded_blob(), wider, np.random.default_rng(seed))
        # the same change in a crop that is three times as wide: the object is a third as large
        small, large = whole.boxes[0], sample.boxes[0]
        torch.testing.assert_close(large[2:], 3 * small[2:], rtol=0, atol=4.0)
        torch.testing.assert_close(
            large[:2] + large[2:] / 2 - 80, 3 * (small[:2] + small[2:] / 2 - 80), rtol=0, atol=4.0
        )
        beyond += bool(large[0] < 0 or large[0] + large[2] > 160)
    assert beyond > 2


def test_half_of_the_boxes_are_tight_and_each_side_of_the_others_moves_on_its_own():
    settings = replace(PLAIN, size=(160, 200), box_jitter=(0.05, 0.2))
    drawn = DrawnClip("clip", rounded_blob().frames * 2, rounded_blob().masks * 2)
    tight = process_clip(drawn, replace(settings, box_jitter=(0.0, 0.0)), np.random.default_rng(0))
    x, y, width, height = tight.boxes[0].tolist()
    moves = []
    for seed in range(300):
        sample = process_clip(drawn, settings, np.random.default_rng(seed))
        assert not torch.equal(*sample.boxes) or torch.equal(sample.boxes, tight.boxes)
        left, top, wide, high = sample.boxes[seed % 2].tolist()
        moves.append(
            [
                (left - x) / width,
                (left + wide - x - width) / width,
                (top - y) / height,
                (top + high - y - height) / height,
            ]
        )
    moves = np.array(moves)
    still = (np.abs(moves) < 1e-5).all(axis=1)
    assert still.mean() == pytest.approx(0.5, abs=0.1)
    moved = moves[~still]
    assert (np.abs(moved) > 0.0499).all() and (np.abs(moved) < 0.2001).all()
    assert np.abs(moved).min() < 0.06 and np.abs(moved).max() > 0.19
    assert np.abs((moved > 0).mean(axis=0) - 0.5).max() < 0.12
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.3


def test_a_frame_without_the_object_is_cropped_where_the_object_was_last_seen():
    # the object is left, then right, then gone; each pixel's red tells its column
    frame = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (100, 200, 3)).copy()
    left, right = (np.zeros((100, 200), dtype=np.uint8) for _ in range(2))
    left[45:55, 30:40] = right[45:55, 150:160] = 1
    drawn = DrawnClip("clip", (frame,) * 4, (left, right, right * 0, left * 0))
    sample = process_clip(drawn, replace(PLAIN, size=(50, 50)), np.random.default_rng(0))
    centres = [int(image[0, 25, 25]) for image in sample.images]
    np.testing.assert_allclose(centres, [35, 155, 155, 155], atol=1)
    assert sample.visible.tolist() == [1, 1, 0, 0]
    assert not sample.masks[2:].any() and not sample.boxes[2:].any()


def test_the_first_frame_must_show_the_object():
    drawn = DrawnClip("clip", clip().frames, (clip().masks[0] * 0,) * 4)
    with pytest.raises(DatasetError, match="empty"):
        process_clip(drawn, PLAIN, np.random.default_rng(0))


def scene_with_a_copy() -> DrawnClip:
    """Frames of 100 × 200 whose red is the column; the object is left and its copy right."""
    frame = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (100, 200, 3)).copy()
    mask = np.zeros((100, 200), dtype=np.uint8)
    others = np.zeros((100, 200), dtype=np.uint8)
    mask[45:55, 30:40] = 1
    others[45:55, 150:160] = 7
    return DrawnClip("clip", (frame,) * 4, (mask,) * 4, others=(others,) * 4)


def test_a_missed_test_frame_shows_another_object_or_another_place():
    settings = replace(PLAIN, size=(50, 50), miss=1.0)
    on_copy = 0
    for seed in range(60):
        sample = process_clip(scene_with_a_copy(), settings, np.random.default_rng(seed))
        assert sample.visible.tolist() == [1, 0, 0, 0]
        assert sample.masks[0].any() and not sample.masks[1:].any()
        on_copy += sum(abs(int(image[0, 25, 25]) - 155) <= 1 for image in sample.images[1:])
    # each draw is around the copy in half of all tries; others near the object are drawn again
    assert 0.5 < on_copy / 180 < 0.75


def test_as_many_test_frames_are_missed_as_wanted_also_when_mirrored():
    settings = replace(PLAIN, size=(50, 50), miss=0.25, flip=1.0)
    seen = [
        process_clip(scene_with_a_copy(), settings, np.random.default_rng(seed)).visible[1:]
        for seed in range(150)
    ]
    assert (torch.stack(seen) == 0).float().mean().item() == pytest.approx(0.25, abs=0.06)


def test_a_large_object_is_missed_by_a_smaller_crop_beside_it():
    # red is the column; the object fills the middle, and a crop of three times it is the frame
    frame = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (100, 200, 3)).copy()
    mask = np.zeros((100, 200), dtype=np.uint8)
    mask[:, 70:120] = 1
    drawn = DrawnClip("clip", (frame,) * 4, (mask,) * 4)
    sides = set()
    for seed in range(40):
        settings = replace(PLAIN, size=(50, 100), miss=1.0, search_area=3.0)
        sample = process_clip(drawn, settings, np.random.default_rng(seed))
        assert sample.visible.tolist() == [1, 0, 0, 0]
        for image in sample.images[1:]:
            columns = image[0].int()
            assert columns.max() < 70 or columns.min() >= 120
            assert columns.max() - columns.min() >= 0.3 * 200 - 4
            sides.add("left" if columns.max() < 70 else "right")
    assert sides == {"left", "right"}


def test_an_object_that_every_crop_must_show_is_never_missed():
    everything = np.ones((60, 90), dtype=np.uint8)
    drawn = DrawnClip("clip", clip(2).frames, (everything,) * 2)
    sample = process_clip(drawn, replace(PLAIN, miss=1.0), np.random.default_rng(0))
    assert sample.visible.tolist() == [1, 1]


@pytest.mark.parametrize(
    "nonsense", [{"miss": 1.1}, {"box_jitter": (0.2, 0.1)}, {"box_jitter": (0.1, 0.5)}]
)
def test_settings_out_of_range_are_refused(nonsense):
    with pytest.raises(ConfigError, match=r"(box_jitter|miss) must (be in|go from low to high)"):
        ClipProcessing(**nonsense)
