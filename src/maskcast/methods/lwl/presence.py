"""The presence head predicts whether the object is visible and whether its mask is right.

    z3        objects × W3 × h × w            decoder state after layer3, stride 16
    z1        objects × W1 × 4h × 4w          last decoder state, stride 4
    logits    objects × height × width        of the object's own crop, before objects are merged
    x         objects × C × h × w             target-model features of the crop
    scores    objects × D × h × w             T_τ(x), output of the target model
    first     objects × (2C + D)              ``describe_first`` of the frame with the given mask

The head is not in the paper. Training and inference call the same two functions, ``describe_first``
and ``PresenceHead.forward``. No gradient flows from the head into the network.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.core.tensors import size_of
from maskcast.nn.presence import mean_confidence

EPS = 1e-6
SMALLEST_SHARE = 1e-5
"""Minimum area, as a share of the crop, before the logarithm is taken."""
LARGEST_RESPONSE = 4.0
"""Maximum ratio of the target model's response to the label of the first frame; the ratio is about
1 on the object. A tiny object has a label near zero, and an unbounded ratio would dominate the
loss."""


class Evidence(NamedTuple):
    """The inputs of the head; the shapes are given in the module docstring."""

    z3: Float[Tensor, "objects W3 h w"]
    z1: Float[Tensor, "objects W1 h4 w4"]
    logits: Float[Tensor, "objects height width"]
    x: Float[Tensor, "objects C h w"]
    scores: Float[Tensor, "objects D h w"]
    first: Float[Tensor, "objects first"]


class Presence(NamedTuple):
    """Two predictions as logits; positive means yes."""

    visible: Float[Tensor, "*objects"]
    """Whether the object is visible on this frame."""
    right: Float[Tensor, "*objects"]
    """Whether the mask has an IoU of at least 0.5 with the object."""


class Judgement(NamedTuple):
    """The result of a rule for an object that the network has segmented."""

    presence: Float[Tensor, ""]
    """Presence, 0..1."""
    confidence: Float[Tensor, ""]
    """Mean probability inside the mask, 0..1."""
    likeness: Float[Tensor, ""] | None = None
    """Similarity to the first frame, 0..1; None if the rule does not compare them."""


@torch.no_grad()
def describe_first(
    x: Float[Tensor, "objects C h w"],
    masks: Float[Tensor, "objects height width"],
    labels: Float[Tensor, "objects D h w"],
) -> Float[Tensor, "objects first"]:
    """Summarise the frame with the given mask, for comparison with later frames.

    Args:
        x: target-model features of the crop.
        masks: the given mask in the crop, 0..1.
        labels: the few-shot label E(y) of the mask.
    """
    cells = _cells(masks.float()[:, None], x)
    x = x.float()
    parts = (_mean_under(x, cells), x.mean(dim=(2, 3)), _mean_under(labels.float(), cells))
    return torch.cat(parts, dim=1)


class PresenceHead(nn.Module):
    """A small multilayer perceptron on pooled decoder states and 16 scalars, in float32.

    Args:
        z3_width, z1_width: channels of the decoder at layer3 and layer1.
        feature_channels: C, number of channels of the target-model features.
        width: number of hidden units.
    """

    SCALARS = 16

    def __init__(self, z3_width: int, z1_width: int, feature_channels: int, *, width: int) -> None:
        super().__init__()
        self.feature_channels = feature_channels
        self.z3 = nn.Sequential(nn.LayerNorm(2 * z3_width), nn.Linear(2 * z3_width, width))
        self.z1 = nn.Sequential(nn.LayerNorm(2 * z1_width), nn.Linear(2 * z1_width, width))
        self.hidden = nn.Linear(2 * width + self.SCALARS, width)
        self.output = nn.Linear(width, 2)
        with torch.no_grad():  # initially accept every prediction
            self.output.bias.copy_(torch.tensor([2.0, 0.0]))

    def forward(self, evidence: Evidence) -> Presence:
        """Return both logits of each object."""
        with torch.autocast(evidence.x.device.type, enabled=False):
            with torch.no_grad():
                z3, z1, scalars = self._pooled(evidence)
            states = torch.cat([self.z3(z3), self.z1(z1), scalars], dim=1)
            logits = self.output(functional.relu(self.hidden(functional.relu(states))))
        return Presence(logits[:, 0], logits[:, 1])

    def _pooled(self, evidence: Evidence) -> tuple[Tensor, Tensor, Tensor]:
        z1 = functional.avg_pool2d(evidence.z1, 2, ceil_mode=True).float()
        probs = _cells(evidence.logits.float().sigmoid()[:, None], evidence.z1)
        coarse = _cells(probs, evidence.x)
        scalars = [
            *_about_mask(probs, coarse),
            *self._about_likeness(evidence, coarse),
            *self._about_response(evidence, coarse),
        ]
        return (
            _mean_and_maximum(evidence.z3.float(), coarse),
            _mean_and_maximum(z1, _cells(probs, z1)),
            torch.stack(scalars, dim=1),
        )

    def _about_likeness(self, evidence: Evidence, cells: Tensor) -> list[Tensor]:
        """Compare the features under the mask with those of the first frame."""
        x, channels = evidence.x.float(), self.feature_channels
        target, scene = _mean_under(x, cells), x.mean(dim=(2, 3))
        first_target, first_scene = evidence.first[:, : 2 * channels].float().chunk(2, dim=1)
        first = first_target - first_scene
        return [
            functional.cosine_similarity(target - first_scene, first, eps=EPS),
            functional.cosine_similarity(target - scene, first, eps=EPS),
            functional.cosine_similarity(target, first_target, eps=EPS),
            functional.cosine_similarity(scene, first_scene, eps=EPS),
        ]

    def _about_response(self, evidence: Evidence, cells: Tensor) -> list[Tensor]:
        """Compare the response of the target model with the label of the first frame."""
        scores = evidence.scores.float()
        label = evidence.first[:, 2 * self.feature_channels :].float()
        strength = label.norm(dim=1).clamp(min=EPS)
        direction = label / strength[:, None]
        along = (scores * direction[:, :, None, None]).sum(dim=1, keepdim=True)
        along = along / strength[:, None, None, None]
        energy = scores.norm(dim=1, keepdim=True) / strength[:, None, None, None]
        responses = [
            along.amax(dim=(1, 2, 3)),
            _mean_under(along, cells)[:, 0],
            energy.amax(dim=(1, 2, 3)),
            _mean_under(energy, cells)[:, 0],
            energy.mean(dim=(1, 2, 3)),
        ]
        return [
            *(response.clamp(-LARGEST_RESPONSE, LARGEST_RESPONSE) for response in responses),
            functional.cosine_similarity(_mean_under(scores, cells), label, eps=EPS),
        ]


def likeness_to_first(
    logits: Float[Tensor, "objects height width"],
    x: Float[Tensor, "objects C h w"],
    first: Float[Tensor, "objects first"],
) -> Float[Tensor, "objects"]:
    """Return the cosine similarity, -1..1, of the features under a mask and under the first mask.

    The mean feature of the first frame is subtracted from both; see ``describe_first``.
    """
    cells = _cells(logits.float().sigmoid()[:, None], x)
    first_target, first_scene = first[:, : 2 * x.shape[1]].float().chunk(2, dim=1)
    return functional.cosine_similarity(
        _mean_under(x.float(), cells) - first_scene, first_target - first_scene, eps=EPS
    )


def _about_mask(probs: Tensor, coarse: Tensor) -> list[Tensor]:
    """Describe the mask itself: its confidence, softness, size, and share at the border.

    Args:
        probs: objects × 1 × 4h × 4w.
        coarse: objects × 1 × h × w.
    """
    confidence = mean_confidence(probs[:, 0])
    probs = probs.flatten(1)
    mass = probs.sum(dim=1)
    count = (probs > 0.5).sum(dim=1)
    border = coarse.sum(dim=(1, 2, 3)) - coarse[:, :, 1:-1, 1:-1].sum(dim=(1, 2, 3))
    return [
        confidence,
        probs.amax(dim=1),
        (mass - probs.square().sum(dim=1)) / (mass + 1),
        _log_share(mass / probs.shape[1]),
        _log_share(count / probs.shape[1]),
        border / coarse.sum(dim=(1, 2, 3)).clamp(min=EPS),
    ]


def _log_share(share: Tensor) -> Tensor:
    """Return the logarithm of an area, shifted and scaled to about -2..2."""
    return ((share + SMALLEST_SHARE).log() + 5) / 3


def _cells(probs: Tensor, like: Tensor) -> Tensor:
    """Average masks, objects × 1 × height × width, over the cells of a map."""
    return functional.adaptive_avg_pool2d(probs, size_of(like))


def _mean_under(z: Tensor, cells: Tensor) -> Tensor:
    """Return the mean of a map under a mask, objects × channels, in either memory format."""
    weights = cells.flatten(2)
    channels_last = z.is_contiguous(memory_format=torch.channels_last)
    pixels = z.movedim(1, -1).flatten(1, 2) if channels_last else z.flatten(2).mT
    return torch.bmm(weights, pixels)[:, 0] / weights.sum(dim=2).clamp(min=EPS)


def _mean_and_maximum(z: Tensor, cells: Tensor) -> Tensor:
    return torch.cat([_mean_under(z, cells), (z * cells).amax(dim=(2, 3))], dim=1)
