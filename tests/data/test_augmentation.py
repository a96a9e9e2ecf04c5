"""Crops, jitter and changes of training frames, against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from maskcast.core.errors import ConfigError
from maskcast.core.types import Box
from maskcast.data.augmentation import (
    BoxJitter,
    ClipProcessing,
    jitter_box,
    process_clip,
    training_crop,
)
from maskcast.data.clips import DrawnClip

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
    with pytest.raises(ConfigError, match="probabilities"):
        ClipProcessing(flip=1.5)
    with pytest.raises(ConfigError, match="negative"):
        BoxJitter(-0.1, (0.0, 0.0))
    with pytest.raises(ConfigError, match="rotation and log_scale are finite and not negative"):
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
