"""The generative appearance model: a mixture of Gaussians per object, fitted in closed form.

    x          frames × cells × channels        projected features; frames = 1 or objects
    weights    objects × components × cells     weight of a cell for a component, 0..1
    scores     objects × components × cells     log-densities without the constant term
    means, variances   objects × components × channels

Components: 0 base background, 1 base target, 2 residual background, 3 residual target. Cells are
those of the stride-16 grid in row-major order. All computations use at least float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from maskcast.methods.agame.config import COMPONENTS, AppearanceConfig


@dataclass(frozen=True)
class Mixture:
    """One mixture per object: p(x) = Σ_k 1/K · N(x | μ_k, diag v_k) (map: mixture)."""

    means: Float[Tensor, "objects components channels"]
    variances: Float[Tensor, "objects components channels"]

    def select(self, slots: Int64[Tensor, " slots"]) -> Mixture:
        """Return the mixtures of some objects."""
        return Mixture(self.means[slots], self.variances[slots])

    def joined(self, other: Mixture, *, dim: int = 0) -> Mixture:
        """Concatenate mixtures along the objects, or with ``dim=1`` along the components."""
        return Mixture(
            torch.cat([self.means, other.means], dim),
            torch.cat([self.variances, other.variances], dim),
        )


def score(
    x: Float[Tensor, "frames cells channels"], mixture: Mixture
) -> Float[Tensor, "objects components cells"]:
    """Return the log-density of every cell under every component, without constants (map: scores).

    s_pk = −½ Σ_c [ ln v_kc + (x_pc − μ_kc)² / v_kc ]. The square is expanded into three matrix
    products, x² · 1/v − 2 x · μ/v + μ²/v. To avoid cancellation, the mean of the frame is first
    subtracted from x and μ.
    """
    centre = x.mean(dim=1, keepdim=True)
    means, precision = mixture.means - centre, mixture.variances.reciprocal()
    scaled_means = means * precision
    constant = (mixture.variances.log() + means * scaled_means).sum(dim=-1, keepdim=True)
    cells = _cells(x - centre).mT
    return -0.5 * (constant + precision @ cells.square() - 2 * scaled_means @ cells)


def moments(
    x: Float[Tensor, "frames cells channels"],
    weights: Float[Tensor, "objects components cells"],
    raw_floor: Float[Tensor, "components channels"],
    *,
    estimate_variance: bool = True,
) -> Mixture:
    """Return weighted means and variances with a pseudo-count of 1 (map: moments).

    μ(a) = Σ_p a_p x_p / (1 + Σ_p a_p)
    v(a; r) = softplus(r) + Σ_p a_p (x_p − μ(a))² / (1 + Σ_p a_p)

    The square is expanded after the mean of the frame has been subtracted from x and μ, as in
    ``score``. If all weights are 0, the mean is exactly 0 and the variance exactly softplus(r).
    """
    centre = x.mean(dim=1, keepdim=True)
    cells = _cells(x - centre)
    total = weights.sum(dim=-1, keepdim=True)
    sums, count = weights @ cells, 1 + total
    means = (sums + total * centre) / count
    floor = functional.softplus(raw_floor)
    if not estimate_variance:
        return Mixture(means, floor.expand_as(means))
    shifted = means - centre
    squares = weights @ cells.square() - 2 * shifted * sums + total * shifted.square()
    return Mixture(means, floor + (squares / count).clamp_min(0))  # rounding errors may be negative


def blend(running: Mixture, new: Mixture, update_rate: float) -> Mixture:
    """Move the running mixture towards a new one: μ ← (1 − λ) μ + λ μ', also for v (map: update).

    Args:
        running: the running mixture.
        new: the estimate, μ' and v'.
        update_rate: λ.
    """
    return Mixture(
        torch.lerp(running.means, new.means, update_rate),
        torch.lerp(running.variances, new.variances, update_rate),
    )


class AppearanceModel(nn.Module):
    """The appearance model, whose learned parts are a projection and the variance floors.

    Args:
        config: settings of the appearance model.
        feature_channels: channels of the stride-16 features.
    """

    def __init__(self, config: AppearanceConfig, feature_channels: int) -> None:
        super().__init__()
        self.config = config
        self.projection = nn.Conv2d(feature_channels, config.channels, 1)
        nn.init.kaiming_uniform_(self.projection.weight, nonlinearity="relu")
        self.raw_floor = nn.Parameter(
            torch.full((COMPONENTS, config.channels), config.initial_floor)
        )
        constant = config.score_offsets or (0.0,) * COMPONENTS
        self.register_buffer("constant_offsets", torch.tensor(constant), persistent=False)
        self.constant_offsets: Tensor
        self.learned_offsets = (
            nn.Parameter(torch.full((COMPONENTS,), config.initial_learned_offset))
            if config.learned_offsets
            else None
        )

    def project(
        self, stride16: Float[Tensor, "frames features height width"]
    ) -> Float[Tensor, "frames cells channels"]:
        """Return x = A · F16 + b for every cell."""
        weight, bias = self.projection.weight.flatten(1), self.projection.bias
        features = stride16.flatten(2).mT.to(weight.dtype)
        return functional.linear(features, weight, bias).to(self.raw_floor.dtype)

    def score(
        self, x: Float[Tensor, "frames cells channels"], mixture: Mixture
    ) -> Float[Tensor, "objects components cells"]:
        """Return the scores, including the offsets of some variants (map: scores)."""
        scores = score(x, mixture)
        if not self.config.score_offsets and self.learned_offsets is None:
            return scores
        offsets = self.constant_offsets
        if self.learned_offsets is not None:
            offsets = offsets + self.learned_offsets
        return scores + offsets[: scores.shape[1], None]

    def estimate(
        self,
        x: Float[Tensor, "frames cells channels"],
        y: Float[Tensor, "objects 2 cells"],
    ) -> Mixture:
        """Fit a mixture to one frame and its soft mask (background, target) (map: components).

        The mask gives the weights of the base components. Where these alone assign too high a
        probability to a class, the excess is the weight of a residual component, which therefore
        models distractors.
        """
        base = self._moments(x, y, self.raw_floor[:2])
        mixture = base
        if self.config.residual:
            q = self.score(x, base).softmax(dim=1)
            residual = self._moments(x, (q - y).relu(), self.raw_floor[2:])
            mixture = base.joined(residual, dim=1)
        if self.config.end_to_end:
            return mixture
        return Mixture(mixture.means.detach(), mixture.variances.detach())

    def update(
        self,
        running: Mixture,
        x: Float[Tensor, "frames cells channels"],
        y: Float[Tensor, "objects 2 cells"],
    ) -> Mixture:
        """Blend an estimate from this frame into the running mixture (map: update)."""
        return blend(running, self.estimate(x, y), self.config.update_rate)

    def update_without_object(
        self, running: Mixture, x: Float[Tensor, "frames cells channels"]
    ) -> Mixture:
        """Blend in a frame on which the objects are absent; not in the paper.

        All cells are background. Cells that still look like the target are distractors, which the
        residual target component learns. The two components without information on this frame stay
        unchanged.
        """
        objects, components = running.means.shape[:2]
        everywhere = x.new_ones(objects, 1, x.shape[1])
        background = self._moments(x, everywhere, self.raw_floor[:1])
        mixture = _replaced(running, 0, background)
        if components == COMPONENTS:
            base = Mixture(mixture.means[:, :2], mixture.variances[:, :2])
            mistaken = self.score(x, base).softmax(dim=1)[:, 1:]
            mixture = _replaced(mixture, 3, self._moments(x, mistaken, self.raw_floor[3:]))
        return blend(running, mixture, self.config.update_rate)

    def output(
        self, x: Float[Tensor, "frames cells channels"], mixture: Mixture
    ) -> Float[Tensor, "objects components cells"]:
        """Return the input of the fusion: the raw scores, or their softmax as an ablation."""
        scores = self.score(x, mixture)
        if self.config.output == "posterior":
            return scores.softmax(dim=1)
        return scores if self.config.score_scale == 1 else scores * self.config.score_scale

    def _moments(self, x: Tensor, weights: Tensor, raw_floor: Tensor) -> Mixture:
        return moments(x, weights, raw_floor, estimate_variance=self.config.estimate_variance)


def _replaced(mixture: Mixture, component: int, new: Mixture) -> Mixture:
    """Return mixtures with one component replaced by that of others."""
    before = Mixture(mixture.means[:, :component], mixture.variances[:, :component])
    after = Mixture(mixture.means[:, component + 1 :], mixture.variances[:, component + 1 :])
    return before.joined(new, dim=1).joined(after, dim=1)


def _cells(x: Tensor) -> Tensor:
    """Drop the axis of a single frame, so that one product is computed for all objects."""
    return x[0] if len(x) == 1 else x
