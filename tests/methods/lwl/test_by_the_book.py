"""Whole videos against section 8 of the specification written down plainly, object by object.

Other sizes, borders, entry frames and corrections than the oracle holds. Nothing is batched or
cached here, masks are encoded anew in every update, and the learner differentiates automatically.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from maskcast.core.types import Box
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presets import boxinit, tiny, ytvos
from maskcast.methods.lwl.segmenter import LWLSegmenter

Given = dict[int, Tensor | Box]


def network(config: LWLConfig) -> LWLNetwork:
    """Return a network that draws masks of some kind, with label weights of both signs."""
    net = LWLNetwork(config.network).eval().requires_grad_(False)
    for parameter in net.label_encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    net.decoder.upsampler.conv2.weight.mul_(6)
    return net


def cut(
    image: Tensor,
    centre: np.ndarray,
    sides: np.ndarray,
    *,
    inside: bool,
    of: str,
    output: np.ndarray,
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """8.4: the patch of an image or of a mask, and its corners in the image."""
    whole = np.array(image.shape[-2:])
    middle = np.trunc(centre).astype(int)
    if inside:
        sides = np.trunc(sides / max(1.0, min(sides / whole)) + 1e-3)
    step = max(1, int(np.trunc(min(sides / output) - 0.1)))
    offset = middle % step
    middle = (middle - offset) // step
    image = image[..., offset[0] :: step, offset[1] :: step]
    whole = np.array(image.shape[-2:])
    length = np.maximum(np.rint(sides / step), 2).astype(int)
    start, stop = middle - (length - 1) // 2, middle + length // 2 + 1
    if inside:
        shift = np.maximum(0, -start) - np.maximum(0, stop - whole)
        start, stop = start + shift, stop + shift
        beyond = (np.maximum(0, -start) + np.maximum(0, stop - whole)) // 2
        shift = np.where(beyond > 0, -beyond - start, 0)
        start, stop = start + shift, stop + shift
    before, after = np.maximum(0, -start), np.maximum(0, stop - whole)
    margins = (before[1], after[1], before[0], after[0])
    mode = "replicate" if of == "image" else "constant"
    padded = functional.pad(image[None], tuple(map(int, margins)), mode=mode)[0]
    first, last = start + before, stop + before
    patch = padded[:, first[0] : last[0], first[1] : last[1]]
    resized = functional.interpolate(
        patch[None], tuple(output), mode="bilinear" if of == "image" else "nearest"
    )[0]
    return resized, step * start, step * stop


def paste(logits: Tensor, start: np.ndarray, stop: np.ndarray, size: tuple[int, int]) -> Tensor:
    """8.4: logits of a crop in the whole image."""
    output = np.array(logits.shape)
    factor = sqrt(np.prod((stop - start) / output))
    sides = np.floor(output * factor).astype(int)
    resized = functional.interpolate(logits[None, None], tuple(sides), mode="bilinear")[0, 0]
    corner = np.trunc((start + stop - 1) / 2 - sides / 2).astype(int)
    whole = torch.full(size, -100.0)
    for row in range(size[0]):
        y = row - corner[0]
        if 0 <= y < sides[0]:
            columns = [x for x in range(size[1]) if 0 <= x - corner[1] < sides[1]]
            whole[row, columns] = resized[y, [x - corner[1] for x in columns]]
    return whole


@dataclass
class Followed:
    """8.1: the state of one object."""

    frames: int
    position: np.ndarray
    scale: float
    base: np.ndarray
    tau: Tensor
    samples: list[tuple[Tensor, Tensor, bool]]
    """Feature, mask, and whether a person gave it."""
    gammas: list[float] = field(default_factory=lambda: [1.0])
    newest: int = 0
    unseen: tuple[Tensor, np.ndarray, np.ndarray] | None = None
    """Feature, centre and sides of the last crop, until its sample is stored."""
    merged: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass
class Book:
    """Sections 8.2 to 8.10, in their order."""

    net: LWLNetwork
    config: LWLConfig
    objects: dict[int, Followed] = field(default_factory=dict)

    def step(self, image: Tensor, given: Given) -> dict[int, Tensor]:
        """Return the merged probabilities of every object."""
        logits: dict[int, Tensor] = {}
        told = {object_id: self.told(image, prompt) for object_id, prompt in given.items()}
        for object_id, one in self.objects.items():
            self.remember(one)
            if object_id in told:
                logits[object_id] = self.corrected(one, image, *told[object_id])
            else:
                logits[object_id] = self.predicted(one, image)
        for object_id, (mask, box, own) in told.items():
            if object_id not in self.objects:
                self.objects[object_id] = self.begun(image, mask, box)
                logits[object_id] = own
        stacked = torch.stack(list(logits.values())).double()
        nobody = (1 - stacked.sigmoid()).prod(dim=0).clamp(1e-7, 1 - 1e-7)
        merged = torch.cat([(nobody / (1 - nobody)).log()[None], stacked]).softmax(dim=0)[1:]
        for one, probs in zip(self.objects.values(), merged, strict=True):
            one.merged = probs.float()
        return dict(zip(logits, merged, strict=True))

    def told(self, image: Tensor, prompt: Tensor | Box) -> tuple[Tensor, Box, Tensor]:
        """Mask, box and logits of what a person gave (8.2, 8.9)."""
        height, width = image.shape[-2:]
        if isinstance(prompt, Tensor):
            rows, columns = prompt.any(dim=1).nonzero(), prompt.any(dim=0).nonzero()
            top, left = int(rows[0]), int(columns[0])
            tall, wide = max(1, int(rows[-1]) - top), max(1, int(columns[-1]) - left)
            return prompt.float(), Box(left, top, wide, tall), torch.where(prompt, 100.0, -100.0)
        x, y = (max(0.0, side) for side in (prompt.x, prompt.y))
        right, bottom = min(prompt.x + prompt.width, width), min(prompt.y + prompt.height, height)
        taps, feature = self.seen(image)
        corners = torch.tensor([[x, y, right - x, bottom - y]])
        encoding = self.net.box_encoder(corners, feature[None], (height, width))
        logits = self.net.decoder(encoding, taps, (height, width))[0]
        return logits.sigmoid(), prompt, logits

    def view(self, box: Box) -> tuple[np.ndarray, float, np.ndarray]:
        """8.2: position, scale and size in the crop."""
        output, shape = self.config.crop.size, np.array([box.height, box.width])
        scale = 5 * sqrt(shape.prod()) / sqrt(np.prod(output))
        return np.array([box.y, box.x]) + (shape - 1) / 2, scale, shape / scale

    def begun(self, image: Tensor, mask: Tensor, box: Box) -> Followed:
        """8.2."""
        output, whole = np.array(self.config.crop.size), np.array(image.shape[-2:])
        position, scale, base = self.view(box)
        sides = scale * output
        shrink = max(1.0, min(sides / whole))
        sides, shrunk = sides / shrink, scale / shrink
        before = np.maximum(0, -(position - (sides - 1) / 2))
        behind = np.maximum(0, position + sides / 2 + 1 - whole)
        shift = -(before - behind) / shrunk
        shift = np.trunc(shift + np.where(shift > 0, 1e-3, -1e-3)).astype(int)
        crops = []
        for picture, of in ((image, "image"), (mask[None], "mask")):
            patch, _, _ = cut(
                picture, np.rint(position), shrunk * 2 * output,
                inside=False, of=of, output=2 * output,
            )  # fmt: skip
            for axis in (0, 1):
                places = torch.arange(output[axis]) + int(output[axis] // 2 - shift[axis])
                patch = patch.index_select(1 + axis, places.clamp(0, 2 * int(output[axis]) - 1))
            crops.append(patch)
        feature = self.seen(crops[0])[1]
        network = self.config.network
        tau = torch.zeros(network.filters, network.feature_channels, 3, 3)
        one = Followed(1, position, scale, base, tau, [(feature, crops[1][0], False)])
        self.learn(one, self.config.learner.initial_steps)
        return one

    def remember(self, one: Followed) -> None:
        """8.3, step 1."""
        one.frames += 1
        if one.unseen is None:
            return
        feature, centre, sides = one.unseen
        output = np.array(self.config.crop.size)
        mask, _, _ = cut(one.merged[None], centre, sides, inside=True, of="mask", output=output)
        self.insert(one, feature, mask[0], annotated=False)
        one.unseen = None
        if (one.frames - 1) % self.config.learner.update_every == 0:
            self.learn(one, self.config.learner.update_steps)

    def crop_of(self, one: Followed, image: Tensor) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """8.3, step 3; also notes where the crop was."""
        output = np.array(self.config.crop.size)
        features = np.ceil(output / 16)
        centre = one.position + (features + 3) % 2 * one.scale * output / (2 * features)
        sides = one.scale * output
        one.unseen = (torch.empty(0), centre, sides)
        return cut(image, centre, sides, inside=True, of="image", output=output)

    def predicted(self, one: Followed, image: Tensor) -> Tensor:
        """8.3, steps 2 to 4, and 8.5."""
        mass, size = one.merged.double(), one.base * one.scale
        if mass.sum() >= self.config.crop.minimum_mass:
            places = [torch.arange(length, dtype=torch.float64) for length in mass.shape]
            margins = [mass.sum(dim=1), mass.sum(dim=0)]
            means = [(p * m).sum() / m.sum() for p, m in zip(places, margins, strict=True)]
            spread = [
                4 * sqrt(((p - c) ** 2 * m).sum() / m.sum())
                for p, m, c in zip(places, margins, means, strict=True)
            ]
            one.position, size = np.array([float(mean) for mean in means]), np.array(spread)
        low, high = self.config.crop.scale_change
        wanted = sqrt(size.prod() / one.base.prod())
        one.scale = float(np.clip(wanted, low * one.scale, high * one.scale))
        crop, start, stop = self.crop_of(one, image)
        taps, feature = self.seen(crop)
        assert one.unseen is not None
        one.unseen = (feature, *one.unseen[1:])
        scores = functional.conv2d(feature[None], one.tau, padding=1)
        logits = self.net.decoder(scores, taps, self.config.crop.size)[0]
        return paste(logits, start, stop, tuple(image.shape[-2:]))

    def corrected(
        self, one: Followed, image: Tensor, mask: Tensor, box: Box, logits: Tensor
    ) -> Tensor:
        """8.10."""
        one.position, one.scale, one.base = self.view(box)
        crop, _, _ = self.crop_of(one, image)
        assert one.unseen is not None
        _, centre, sides = one.unseen
        output = np.array(self.config.crop.size)
        small, _, _ = cut(mask[None], centre, sides, inside=True, of="mask", output=output)
        self.insert(one, self.seen(crop)[1], small[0], annotated=True)
        one.unseen = None
        self.learn(one, self.config.learner.update_steps)
        return logits

    def insert(self, one: Followed, feature: Tensor, mask: Tensor, *, annotated: bool) -> None:
        """8.6 and, of annotated samples, 8.10."""
        config, gammas = self.config.memory, list(one.gammas)
        rate, minimum = config.update_rate, config.minimum_first_weight
        place = len(gammas)
        if place < config.size:
            gammas.append(0.0)
            one.samples.append((feature, mask, annotated))
        else:
            places = range(1 if minimum else 0, config.size)
            plain = [p for p in places if not one.samples[p][2]]
            place = min(plain or places, key=lambda p: gammas[p])
            one.samples[place] = (feature, mask, annotated)
        if len(one.gammas) == 1 and config.equal_second_weight:
            gammas[place] = 1.0
        elif len(one.gammas) == 1:
            gammas = [gamma / (1 - rate) for gamma in gammas]
            gammas[place] = rate
        else:
            gammas[place] = one.gammas[one.newest] / (1 - rate)
        gammas = [gamma / sum(gammas) for gamma in gammas]
        kept = {p for p, sample in enumerate(one.samples) if p == 0 or sample[2]}
        share = sum(gammas[p] for p in kept)
        if share < minimum:
            rest = sum(gammas) - share
            gammas = [
                minimum * gamma / share if p in kept else gamma / (minimum + rest)
                for p, gamma in enumerate(gammas)
            ]
        one.gammas, one.newest = gammas, place

    @torch.enable_grad()
    def learn(self, one: Followed, steps: int) -> None:
        """Section 4, one step after the other."""
        x = torch.stack([feature for feature, _, _ in one.samples])
        e, w = self.net.label_encoder(torch.stack([mask for _, mask, _ in one.samples]))
        v = w * torch.tensor(one.gammas).view(-1, 1, 1, 1)
        kappa = float(self.net.learner.kappa)
        for _ in range(steps):
            tau = one.tau.clone().requires_grad_()
            residual = v * (functional.conv2d(x, tau, padding=1) - e)
            loss = 0.5 * residual.square().sum() + 0.5 * kappa**2 * tau.square().sum()
            (g,) = torch.autograd.grad(loss, tau)
            response = v * functional.conv2d(x, g, padding=1)
            curvature = response.square().sum() + kappa**2 * g.square().sum()
            one.tau = (tau - g.square().sum() / curvature.clamp(min=1e-8) * g).detach()

    def seen(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Taps and target-model feature of one image."""
        features = self.net.extract(self.net.prepare(image[None]))
        return features.taps, features.x[0]


def painted(top: int, left: int, bottom: int, right: int, size: tuple[int, int]) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def story(size: tuple[int, int], *, box: bool) -> list[Given]:
    """Objects at borders that enter one after the other; corrections by mask and by box."""
    height, width = size
    first = Box(-2.0, 1.5, width / 2, height / 2) if box else painted(0, 0, 9, 7, size)
    return [
        {5: first},
        {},
        {2: painted(height - 8, width // 2, height, width, size)},
        {},
        {5: painted(3, 4, height // 2, width // 2, size)},
        {},
        {9: Box(width / 3, 2.5, width / 2, height / 2), 2: painted(5, 5, 6, 6, size)},
        {},
    ]


@pytest.mark.parametrize(
    ("parameters", "layout", "size", "crop", "memory"),
    [
        pytest.param(ytvos, "imagenet", (61, 84), (64, 96), 3, id="ytvos"),
        pytest.param(boxinit, "mrcnn", (75, 40), (48, 80), 2, id="boxinit, portrait"),
        pytest.param(ytvos, "mrcnn", (30, 33), (64, 64), 4, id="smaller than the crop"),
        pytest.param(boxinit, "imagenet", (43, 125), (64, 64), 5, id="boxinit, wide"),
    ],
)
@torch.no_grad()
def test_a_video_is_segmented_as_the_specification_says(parameters, layout, size, crop, memory):
    published: LWLConfig = parameters()
    torch.manual_seed(sum(size))
    config = replace(
        published,
        network=replace(tiny().network, trunk_layout=layout, initial_kappa=0.3),
        memory=replace(published.memory, size=memory),
        crop=replace(published.crop, size=crop, minimum_mass=30.0),
    )
    net = network(config)
    segmenter, book = LWLSegmenter(deepcopy(net), config), Book(net, config)
    still = torch.rand(3, *size)
    state = segmenter.start()
    for given in story(size, box=config.memory.equal_second_weight):
        image = (still + 0.1 * torch.randn(3, *size)).clamp(0, 1)
        state, found = segmenter.step(state, image, given)
        expected = book.step(image, given)
        assert found.ids == tuple(expected)
        probs = torch.stack(list(expected.values())).float()
        torch.testing.assert_close(found.probs, probs, rtol=0, atol=1e-3)
    # what is to be learnt from: far from everywhere 0 or 1, and not the same for all
    assert 0.02 < probs.mean() < 0.98 and not torch.equal(probs[0], probs[1])
