"""Whole videos against the specification written down plainly, each object by itself.

Other numbers of objects, sizes and entry frames than the oracle holds.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad, softplus

from maskcast.core.state import load_state, save_state
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.segmenter import AgameSegmenter, AgameState, Segmented
from maskcast.methods.agame.training.clip_loss import clip_losses

FRAMES = 5
Given = dict[int, dict[int, Tensor]]
"""Masks by frame and object."""


@cache
def network() -> AgameNetwork:
    """Return a small network whose biases and floors are not the ones it starts from."""
    torch.manual_seed(5)
    net = AgameNetwork(tiny()).eval().requires_grad_(False)
    for name, parameter in net.named_parameters():
        if name.endswith("bias") and not name.startswith("trunk"):
            parameter.normal_(0, 0.1)
    assert net.appearance is not None
    net.appearance.raw_floor.normal_(0.5, 0.3)
    net.decoder.fine.weight.mul_(0.3)
    return net


@dataclass
class Book:
    """Sections 2 to 8 of the specification, in their order."""

    update_mask: str = "merged"
    process_first_frame: bool = False
    update_rate: float = 0.1
    net: AgameNetwork = field(default_factory=network)
    objects: dict[int, dict[str, Any]] = field(default_factory=dict)

    def run(self, images: list[Tensor], given: Given) -> list[Tensor]:
        """Return the merged probabilities of every frame, background first."""
        height, width = images[0].shape[-2:]
        bottom, right = -height % 16 // 2, -width % 16 // 2
        top, left = -height % 16 - bottom, -width % 16 - right
        around = (left, right, top, bottom)
        results = []
        for index, image in enumerate(images):
            features = self.net.trunk(pad(image[None], around, mode="reflect"))
            for object_id, mask in sorted(given.get(index, {}).items()):
                whole = pad(mask[None, None].float(), around, mode="reflect")
                self.begin(object_id, features.stride16, avg_pool2d(whole, 16))
            if index == 0 and not self.process_first_frame:
                masks = list(given[0].values())
                results.append(torch.stack([~torch.stack(masks).any(dim=0), *masks]).float())
                continue
            coarse, fine = {}, {}
            for object_id, held in self.objects.items():
                coarse[object_id], fine[object_id] = self.segment(features, held)
            probs = {key: logits.softmax(dim=1)[0] for key, logits in fine.items()}
            merged = self.merge(probs)
            for slot, (object_id, held) in enumerate(self.objects.items()):
                if self.update_mask == "merged":
                    g = merged[slot + 1]
                    y = avg_pool2d(torch.stack([1 - g, g])[None], 16)
                elif self.update_mask == "fine":
                    y = avg_pool2d(probs[object_id][None], 16)
                else:
                    y = coarse[object_id].softmax(dim=1)
                self.update(held, features.stride16, y)
            results.append(merged[:, top : top + height, left : left + width])
        return results

    def begin(self, object_id: int, stride16: Tensor, target: Tensor) -> None:
        y = torch.cat([1 - target, target], dim=1)
        means, variances = self.estimate(self.project(stride16), y)
        self.objects[object_id] = {
            "means": means, "variances": variances, "first": stride16, "y0": y, "y": y,
        }  # fmt: skip

    def project(self, stride16: Tensor) -> Tensor:
        assert self.net.appearance is not None
        projected: Tensor = self.net.appearance.projection(stride16)  # type: ignore[union-attr]
        return projected[0].flatten(1)

    def estimate(self, x: Tensor, y: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Base components, then residual ones where these say too much."""
        appearance = self.net.appearance
        assert appearance is not None
        floors = softplus(appearance.raw_floor)
        background, target = y[0].flatten(1)
        base = [
            self.moments(x, a, r) for a, r in zip((background, target), floors[:2], strict=True)
        ]
        q = torch.stack([self.score(x, *component) for component in base]).softmax(dim=0)
        left = [(q[0] - background).clamp_min(0), (q[1] - target).clamp_min(0)]
        residual = [self.moments(x, a, floor) for a, floor in zip(left, floors[2:], strict=True)]
        means, variances = zip(*base, *residual, strict=True)
        return list(means), list(variances)

    def moments(self, x: Tensor, a: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
        """By spatial means, the pseudo-count being 1 / N."""
        count = 1 / a.numel() + a.mean()
        mean = (a * x).mean(dim=1) / count
        return mean, floor + (a * (x - mean[:, None]).square()).mean(dim=1) / count

    def score(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        distance = (x - mean[:, None]).square() / variance[:, None]
        return -0.5 * (variance.log()[:, None] + distance).sum(dim=0)

    def segment(self, features: Any, held: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Coarse and fine logits of one object."""
        net, size = self.net, features.stride16.shape[-2:]
        assert net.propagation is not None
        x = self.project(features.stride16)
        components = zip(held["means"], held["variances"], strict=True)
        scores = torch.stack([self.score(x, *one) for one in components]).unflatten(1, size)[None]
        seen = torch.cat([features.stride16, held["first"], held["y"], held["y0"]], dim=1)
        compared = net.propagation.compare(seen).relu()
        around = torch.cat([layer(compared) for layer in net.propagation.pyramid], dim=1).relu()
        propagated = net.propagation.gather(around).relu()
        hidden = net.fusion.first(torch.cat([scores, propagated], dim=1)).relu()
        encoding = net.fusion.second(hidden).relu()
        finer = encoding
        levels = ((net.decoder.stride8, features.stride8), (net.decoder.stride4, features.stride4))
        for level, lateral in levels:
            enlarged = interpolate(finer, scale_factor=2, mode="bilinear", align_corners=False)
            finer = level.blend(torch.cat([level.lateral(lateral).relu(), enlarged], dim=1)).relu()
        fine = interpolate(
            net.decoder.fine(finer), scale_factor=4, mode="bilinear", align_corners=False
        )
        return net.fusion.coarse(encoding), fine

    def merge(self, probs: dict[int, Tensor]) -> Tensor:
        """Odds of the background and of each object, normalised."""
        limited = lambda p: p.clamp(1e-7, 1 - 1e-7)  # noqa: E731
        b = torch.stack([p[0] for p in probs.values()]).min(dim=0).values
        odds = [limited(b) / limited(1 - b)]
        odds += [limited(p[1]) / limited(p[0]) for p in probs.values()]
        return torch.stack(odds) / torch.stack(odds).sum(dim=0)

    def update(self, held: dict[str, Any], stride16: Tensor, y: Tensor) -> None:
        new = self.estimate(self.project(stride16), y)
        for name, values in zip(("means", "variances"), new, strict=True):
            pairs = zip(held[name], values, strict=True)
            held[name] = [(1 - self.update_rate) * a + self.update_rate * b for a, b in pairs]
        held["y"] = y


def images(size: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randn(FRAMES, 3, 6, 8, generator=generator)
    return list(interpolate(coarse, size, mode="bilinear", align_corners=False).unbind())


def masks(size: tuple[int, int], *ids: int) -> dict[int, Tensor]:
    """Return rectangles that share no pixel; an id has the same one in every video."""
    made = {}
    for object_id in ids:
        made[object_id] = torch.zeros(size, dtype=torch.bool)
        top = 3 + 9 * (object_id % 4)
        made[object_id][top : top + 9, 4 + 3 * object_id : 25 + 3 * object_id] = True
    return made


def followed(
    given: Given, size: tuple[int, int], keep_in: Path | None = None, **settings: Any
) -> list[Segmented]:
    """Follow a video; every frame is a chunk of its own if the state is kept in a folder."""
    config = replace(tiny(), entry_frame="predicted", **settings)
    segmenter = AgameSegmenter(config, deepcopy(network()))
    state, found = segmenter.start(), []
    for index, image in enumerate(images(size)):
        found.append(segmenter.step_normalised(state, image, given.get(index, {})))
        state = found[-1].state
        if keep_in is not None:
            save_state(state, keep_in / "state.safetensors")
            state = load_state(keep_in / "state.safetensors", AgameState)
    return found


CASES: dict[str, tuple[tuple[int, int], dict[int, tuple[int, ...]], dict[str, Any]]] = {
    "one object, multi-object mode": ((37, 53), {0: (2,)}, {}),
    "three objects": ((45, 61), {0: (1, 2, 7)}, {}),
    "objects enter on other frames, two at once": ((50, 47), {0: (3,), 1: (6,), 3: (1, 4)}, {}),
    "sides of a multiple of 16": ((48, 64), {0: (1, 3), 4: (2,)}, {}),
    "an odd column of padding": ((33, 49), {0: (1,)}, {"update_mask": "fine"}),
    "own fine masks, two objects": ((41, 64), {0: (1, 2)}, {"update_mask": "fine"}),
    "coarse masks, first frame processed": (
        (48, 51),
        {0: (2, 5), 2: (1,)},
        {"update_mask": "coarse", "process_first_frame": True},
    ),
    "no more than a cell": ((16, 16), {0: (1,)}, {}),
}


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_videos_are_segmented_as_the_specification_says(
    case: str, chunks: bool, tmp_path: Path
) -> None:
    size, entries, settings = CASES[case]
    given = {index: masks(size, *ids) for index, ids in entries.items()}
    expected = Book(**settings).run(images(size), given)
    found = followed(given, size, tmp_path if chunks else None, **settings)
    for index in range(FRAMES):
        assert found[index].masks.ids == tuple(
            key for start, ids in entries.items() if start <= index for key in ids
        )
        if index > 0:
            torch.testing.assert_close(
                found[index].masks.probs, expected[index][1:], rtol=1e-4, atol=2e-5
            )
            assert 0.02 < expected[index][1:].sum(dim=0).mean() < 0.98  # not all one label


def test_the_book_notices_what_it_should() -> None:
    size, given = (45, 61), {0: masks((45, 61), 1, 2)}
    standard = Book().run(images(size), given)[-1]
    for settings in ({"update_mask": "fine"}, {"update_mask": "coarse"}, {"update_rate": 0.2}):
        assert (Book(**settings).run(images(size), given)[-1] - standard).abs().max() > 1e-3


def test_clips_are_learnt_from_as_the_specification_says() -> None:
    """Losses and all gradients of two clips of three frames, some pixels void."""
    net = deepcopy(network()).double().train()
    net.requires_grad_(True)
    net.trunk.set_trained(1, batch_statistics=True)
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 3, 3, 48, 64, generator=generator, dtype=torch.float64)
    labels = torch.zeros(2, 3, 48, 64, dtype=torch.int64)
    labels[0, :, 8:30, 10:40], labels[1, :, 20:48, 5:33] = 1, 1
    labels[0, 1:, 25:35], labels[1, 0, :4] = 255, 255
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    by_the_book = losses_by_the_book(net, frames, labels)
    found = clip_losses(net, frames, labels, auxiliary=True)
    assert found.auxiliary is not None
    for loss, expected in zip((found.main, found.auxiliary), by_the_book, strict=True):
        torch.testing.assert_close(loss, expected, rtol=1e-9, atol=2e-7)  # of the given frame
    gradients = torch.autograd.grad(found.main + 0.5 * found.auxiliary, trained)
    wanted = torch.autograd.grad(by_the_book[0] + 0.5 * by_the_book[1], trained)
    for gradient, want in zip(gradients, wanted, strict=True):
        assert (gradient - want).norm() <= 1e-8 * want.norm()


def losses_by_the_book(net: AgameNetwork, frames: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each clip by itself, but for the batch statistics of the trunk."""
    books = [Book(update_mask="coarse", net=net) for _ in frames]
    taken: list[list[Tensor]] = [[], []]
    for index in range(frames.shape[1]):
        features = net.trunk(frames[:, index])
        for clip, book in enumerate(books):
            mine = type(features)(*(tap[clip, None] for tap in features))
            if index == 0:
                mask = (labels[clip, 0] == 1).double()
                book.begin(1, mine.stride16, avg_pool2d(mask[None, None], 16))
                continue
            coarse, fine = book.segment(mine, book.objects[1])
            book.update(book.objects[1], mine.stride16, coarse.softmax(dim=1))
            enlarged = interpolate(
                coarse.log_softmax(dim=1), scale_factor=16, mode="bilinear", align_corners=False
            )
            target = labels[clip, index]
            for place, log_probs in enumerate((fine.log_softmax(dim=1), enlarged)):
                right = torch.where(target == 1, log_probs[0, 1], log_probs[0, 0])
                taken[place].append(-right[target != 255].sum())
    count = (labels != 255).sum()  # pixels of the given frame count, and cost nothing
    main, auxiliary = (torch.stack(sums).sum() / count for sums in taken)
    return main, auxiliary
