"""Losses and detections against slow loops, where no file of the published system says them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from maskcast.core.randomness import seeded
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.methods.eosvos.targets import make_empty_target, make_target
from maskcast.methods.eosvos.training.parent_training import make_instance_target

from . import small
from .by_loops import LoopNetwork


def lively_network(seed: int, **changes: object) -> ObjectNetwork:
    """With heads that say more than fresh ones do, in double precision."""
    network = small.network(seed, **changes).double()
    with seeded(seed), torch.no_grad():
        for name, parameter in network.named_parameters():
            if "bbox_pred" in name or "cls_" in name:
                parameter.mul_(8)
            if name.endswith("bias"):
                parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def picture(height: int, width: int, seed: int = 0) -> Any:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / (3 + n) + y / (5 - n)) for n in range(3)])
    noise = np.random.default_rng(seed).normal(0, 0.1, waves.shape)
    return (0.5 + 0.4 * waves + noise).clip(0, 1)


def ellipse(height: int, width: int, *middle_and_radii: float) -> Any:
    y, x = np.mgrid[:height, :width]
    row, column, down, across = middle_and_radii
    return (((y - row) / down) ** 2 + ((x - column) / across) ** 2 <= 1).astype(np.uint8)


def box_and_mask(label: Any) -> tuple[Any, Any]:
    rows, columns = np.nonzero(label)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    mask = (label == 1).astype(np.uint8)
    return box, np.where(label == 1, 1, 255) if (label == 255).any() else mask


VOID = ellipse(40, 56, 20, 28, 9, 13)
VOID[18:22, 10:20] = 255
SEVERAL = np.zeros((40, 56), np.uint8)
SEVERAL[3:15, 4:20], SEVERAL[20:36, 25:50], SEVERAL[10:20, 40:44] = 3, 9, 4
ONE_PIXEL = np.zeros((40, 56), np.uint8)
ONE_PIXEL[17, 31] = 1
CORNERS = [ellipse(47, 33, 0, 0, 20, 14), ellipse(61, 97, 60, 96, 30, 9)]
NOTHING = np.zeros((40, 56), np.uint8)


@pytest.mark.parametrize(
    ("labels", "changes"),
    [
        (CORNERS, {}),
        ([VOID], {}),
        ([ONE_PIXEL], {"min_side": 100, "max_side": 160, "box_pool": 4, "norm": "frozen_bn"}),
        ([SEVERAL], {}),
        ([NOTHING, ellipse(40, 56, 10, 50, 8, 12)], {}),
    ],
    ids=["two sizes, at corners", "void", "one pixel", "several objects", "none beside one"],
)
def test_the_five_losses(labels: list[Any], changes: dict[str, Any]) -> None:
    network = lively_network(len(labels), **changes)
    frames = [picture(*label.shape, seed) for seed, label in enumerate(labels)]
    targets, objects = [], []
    for label in labels:
        made = torch.from_numpy(label.astype(np.int64))
        ids = [one for one in np.unique(label) if one not in (0, 255)]
        if not ids:
            targets.append(make_empty_target(made))
            objects.append([])
        elif ids == [1]:
            targets.append(make_target(made))
            objects.append([box_and_mask(label)])
        else:
            targets.append(make_instance_target(made))
            objects.append([box_and_mask((label == one).astype(np.uint8)) for one in ids])
    expected = LoopNetwork(network).losses(frames, objects)
    batch = network.prepare([torch.from_numpy(frame) for frame in frames], targets)
    with torch.no_grad():
        found = network.losses(batch)
    total = float(found.pop("total"))
    assert {name: float(loss) for name, loss in found.items()} == pytest.approx(expected, rel=5e-6)
    assert total == pytest.approx(sum(expected.values()), rel=5e-6)


@pytest.mark.parametrize(
    ("size", "box", "mode", "changes"),
    [
        ((47, 33), (0, 0, 33, 47), "extend", {}),
        ((61, 97), (80, 50, 97, 61), "replace", {}),
        ((40, 56), None, "replace", {}),
        ((45, 71), (10, 7, 39, 28), "extend", {"post_nms_test": 300, "max_side": 131}),
        ((40, 56), (31, 17, 32, 18), "extend", {"score_threshold": 0.3, "detections": 100}),
    ],
    ids=["whole frame", "corner", "lost", "fewer proposals than asked for", "one pixel"],
)
def test_the_best_detection(
    size: tuple[int, int], box: tuple[int, ...] | None, mode: Any, changes: dict[str, Any]
) -> None:
    network = lively_network(len(changes), **changes)
    frame = picture(*size)
    previous = None if box is None else np.array(box, float)

    def seed() -> torch.Generator:
        return torch.Generator().manual_seed(5)

    probs, corners, score = LoopNetwork(network).detect(frame, previous, mode, seed())
    found = network.detect(
        torch.from_numpy(frame),
        None if box is None else torch.tensor(box, dtype=torch.float64),
        propagation=mode,
        generator=seed(),
    )
    assert score > network.config.score_threshold
    assert found.score == pytest.approx(score, abs=1e-6)
    np.testing.assert_allclose(found.box, corners, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.probs, probs, rtol=0, atol=1e-5)
