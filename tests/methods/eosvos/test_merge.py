"""Which object a pixel goes to, against the rule written out as a loop."""

from __future__ import annotations

import torch

from maskcast.core.types import ObjectMasks
from maskcast.methods.eosvos.merge import given_map, merged_slots, normalised


def slow_labels(maps):
    """The rule of the paper, pixel by pixel."""
    values = maps.tolist()
    rows, columns = maps.shape[-2:]
    labels = torch.zeros(rows, columns, dtype=torch.int64)
    for row in range(rows):
        for column in range(columns):
            here = [plane[row][column] for plane in values]
            if max(here) >= 0.5:
                labels[row, column] = 1 + here.index(max(here))
    return labels


def random_maps(seed, objects=3):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(objects, 20, 30, generator=generator)
    maps[:, ::3] = (maps[:, ::3] * 4).round() / 4  # many ties, many exactly one half
    maps[:, 5] = 0.0
    maps[0, 7] = 0.5 - 2**-25
    return maps


def test_labels_follow_the_rule():
    for seed in range(3):
        maps = random_maps(seed)
        assert torch.equal(merged_slots(maps), slow_labels(maps))


def test_probabilities_paint_the_same_labels_under_the_common_rule():
    for objects in (1, 2, 5):
        maps = random_maps(objects, objects)
        probs = normalised(maps)
        painted = ObjectMasks(tuple(range(1, objects + 1)), probs).label_map()
        assert torch.equal(painted, slow_labels(maps))
        assert (probs >= 0).all() and (probs.sum(dim=0) <= 1 + 1e-6).all()


def test_what_reaches_no_half_stays_background():
    maps = torch.tensor([0.45, 0.30]).view(2, 1, 1)  # the sum is 0.75; the rule says background
    assert merged_slots(maps).item() == 0
    assert normalised(maps).sum() < 0.5


def test_a_given_mask_owns_its_pixels():
    mask = torch.zeros(2, 2, dtype=torch.bool)
    mask[0, 0] = True
    maps = torch.stack([torch.full((2, 2), 0.99), given_map(mask)])
    probs = normalised(maps)
    assert probs[:, 0, 0].tolist() == [0, 1]
    assert torch.equal(probs[1] == 1, mask)
