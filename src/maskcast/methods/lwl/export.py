"""The graphs of LWL: everything between a crop of the frame and its logits, for one object.

    crop          1 × 3 × H × W         RGB, 0..1, at the size of the network's input
    mask          1 × H × W             0..1, in the crop
    tau           1 × D × C × K × K     filters of the target model
    x             1 × M × h × w × C     features of M remembered frames (one: without M)
    label, v      1 × M × h × w × D     their labels, and the weights of the residuals
    first         1 × (2C + D)          ``describe_first`` of the frame on which the object starts
    logits        1 × H × W             in the crop, before objects are merged

Crops, the memory with its temporal weights, the rule for absence and the merging of objects are
left to the program that runs the graphs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from maskcast.core.errors import UsageError
from maskcast.methods.graphs import Graph, GraphInput, MethodGraphs
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.decoder import Decoder, TapwiseUpsampler
from maskcast.methods.lwl.few_shot_learner import SMALLEST_CURVATURE
from maskcast.methods.lwl.label_encoder import STRIDE
from maskcast.methods.lwl.memory import ABSENCES
from maskcast.methods.lwl.network import Features, LWLNetwork
from maskcast.methods.lwl.presence import Evidence, describe_first, likeness_to_first
from maskcast.methods.lwl.target_model import apply_target_model
from maskcast.methods.method import network_with
from maskcast.nn.presence import mean_confidence
from maskcast.nn.resnet import fold_batch_norm


class CropFeatures(nn.Module):
    """Extracts the features of a crop."""

    def __init__(self, network: LWLNetwork) -> None:
        super().__init__()
        self.prepare, self.trunk, self.features = network.prepare, network.trunk, network.features

    def forward(self, crop: Tensor) -> Features:
        taps = self.trunk(self.prepare(crop))
        return Features(taps, self.features(taps.layer3))


class Fit(nn.Module):
    """The few-shot learner of one object, in operations that every graph format has.

    A correlation is one matrix product with all K² taps, and a convolution that shifts the results
    by one-hot kernels and adds them; its adjoint is the reverse (``few_shot_learner.descend``).
    """

    def __init__(self, network: LWLNetwork, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.filters, side = network.config.filters, network.config.kernel_size
        self.register_buffer("regulariser", network.learner.kappa.detach().square())
        taps = torch.eye(side**2).view(side**2, side, side)
        self.register_buffer("gathered", taps[None].repeat(self.filters, 1, 1, 1))
        self.register_buffer("spread", taps[:, None].flip(2, 3).repeat(self.filters, 1, 1, 1))
        self.gathered: Tensor
        self.spread: Tensor
        self.regulariser: Tensor

    def forward(self, tau: Tensor, x: Tensor, label: Tensor, v: Tensor) -> Tensor:
        """Return τ after all steps."""
        _, filters, channels, side, _ = tau.shape
        height, width = x.shape[2:4]
        pixels = x.flatten(0, 1).flatten(1, 2)
        e, v = (part.flatten(0, 1).permute(0, 3, 1, 2) for part in (label, v))
        f = tau.flatten(0, 1).permute(0, 2, 3, 1).reshape(filters * side**2, channels)
        scores = self._correlate(f, pixels, height, width)
        for _ in range(self.steps):
            g = self._adjoint(v.square() * (scores - e), pixels) + self.regulariser * f
            response = self._correlate(g, pixels, height, width)
            squared_norm = g.square().sum()
            curvature = (v * response).square().sum() + self.regulariser * squared_norm
            alpha = squared_norm / curvature.clamp(min=SMALLEST_CURVATURE)
            f, scores = f - alpha * g, scores - alpha * response
        return f.view(1, filters, side, side, channels).permute(0, 1, 4, 2, 3)

    def _correlate(self, f: Tensor, pixels: Tensor, height: int, width: int) -> Tensor:
        taps = (f @ pixels.mT).reshape(-1, f.shape[0], height, width)
        return functional.conv2d(taps, self.gathered, padding="same", groups=self.filters)

    def _adjoint(self, residual: Tensor, pixels: Tensor) -> Tensor:
        taps = functional.conv2d(residual, self.spread, padding="same", groups=self.filters)
        return (taps.flatten(2) @ pixels).sum(dim=0)


class EncodeGraph(nn.Module):
    """Encodes a mask as label and weight of the few-shot loss."""

    def __init__(self, network: LWLNetwork) -> None:
        super().__init__()
        self.label_encoder = network.label_encoder

    def forward(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        label, weight = self.label_encoder(mask)
        return label.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1)


class BeginGraph(nn.Module):
    """Starts an object: fits a target model to a crop and its mask, and returns the memory slot."""

    def __init__(self, network: LWLNetwork, steps: int, *, describes: bool) -> None:
        super().__init__()
        self.look, self.encode, self.fit = (
            CropFeatures(network),
            EncodeGraph(network),
            Fit(network, steps),
        )
        self.describes = describes
        self.register_buffer("no_filters", network.no_filters(1, network.prepare.mean))

    def forward(self, crop: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        features = self.look(crop).x
        label, weight = self.encode(mask)
        x = features.permute(0, 2, 3, 1)
        tau = self.fit(self.no_filters, x[:, None], label[:, None], weight[:, None])
        if not self.describes:
            return tau, x, label, weight
        return tau, x, label, weight, describe_first(features, mask, label.permute(0, 3, 1, 2))


class PredictGraph(nn.Module):
    """Segments an object in a crop, and computes what a rule for absence compares."""

    def __init__(self, network: LWLNetwork, size: tuple[int, int], *, asks_head: bool) -> None:
        super().__init__()
        self.look, self.decoder, self.size = CropFeatures(network), network.decoder, size
        self.head = network.presence_head if asks_head else None

    def forward(self, crop: Tensor, tau: Tensor, first: Tensor | None = None) -> tuple[Tensor, ...]:
        taps, x = self.look(crop)
        scores = apply_target_model(tau, x[None])[0]
        logits, (_, z3, _, z1) = self.decoder.decode(scores, taps, self.size)
        results = [logits, x.permute(0, 2, 3, 1)]
        if first is not None:
            results += [mean_confidence(logits.sigmoid()), likeness_to_first(logits, x, first)]
            if self.head is not None:
                evidence = Evidence(z3, z1, logits, x, scores, first)
                results.append(self.head(evidence).visible.sigmoid())
        return tuple(results)


class BoxStartGraph(nn.Module):
    """Segments the object in a box, whose corner and size are in pixels of the crop."""

    def __init__(self, network: LWLNetwork, size: tuple[int, int]) -> None:
        super().__init__()
        self.look, self.decoder, self.size = CropFeatures(network), network.decoder, size
        self.box_encoder = network.box_encoder

    def forward(self, crop: Tensor, box: Tensor) -> Tensor:
        assert self.box_encoder is not None
        taps, x = self.look(crop)
        logits: Tensor = self.decoder(self.box_encoder(box, x, self.size), taps, self.size)
        return logits


class ShiftedUpsampler(nn.Module):
    """A ``TapwiseUpsampler`` whose last step is a convolution instead of nine writes in place."""

    def __init__(self, upsampler: TapwiseUpsampler) -> None:
        super().__init__()
        self.resize, self.conv1, self.taps = upsampler.resize, upsampler.conv1, upsampler.taps
        self.bias = upsampler.bias
        self.register_buffer("shifts", torch.eye(9).view(1, 9, 3, 3))
        self.shifts: Tensor

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        maps = self.resize(self.taps(functional.relu(self.conv1(x))), size)
        return functional.conv2d(maps, self.shifts, self.bias, padding=1)[:, 0]


def graphs(
    config: LWLConfig, tensors: Mapping[str, Tensor] | None, size: tuple[int, int] | None
) -> MethodGraphs:
    """Make the graphs; see ``MakeGraphs``."""
    _check(config, size)
    network = network_with(tensors, lambda: LWLNetwork(config.network), method="LWL")
    network.eval().requires_grad_(False)
    fold_batch_norm(network)
    _shift_upsampler(network.decoder)
    return MethodGraphs(
        graphs=_graphs(config, network),
        free_axes={"samples": (1, config.memory.size + ABSENCES)},
    )


def _check(config: LWLConfig, size: tuple[int, int] | None) -> None:
    if size is not None:
        raise UsageError(
            "graphs of LWL fit videos of every size, because their input is a crop; leave out the "
            "size, or set crop.size for another input",
            options=("size", "crop.size"),
        )
    if any(side % STRIDE for side in config.crop.size):
        raise UsageError(
            f"crop.size must be multiples of {STRIDE} for an export, got {config.crop.size}",
            options=("crop.size",),
        )
    if config.speed.share_crop:
        raise UsageError(
            "speed.share_crop cannot be exported: a graph segments one object in its own crop",
            options=("speed.share_crop",),
        )


def _shift_upsampler(decoder: Decoder) -> None:
    decoder.speed_up_inference()
    assert isinstance(decoder.upsampler, TapwiseUpsampler)
    decoder.upsampler = ShiftedUpsampler(decoder.upsampler)  # type: ignore[assignment]


def _graphs(config: LWLConfig, network: LWLNetwork) -> dict[str, Graph]:
    height, width = config.crop.size
    settings, rows, columns = config.network, height // STRIDE, width // STRIDE
    filters, channels, side = settings.filters, settings.feature_channels, settings.kernel_size
    compares, asks_head = config.presence.rule != "off", config.presence.uses_head
    crop, mask = GraphInput((1, 3, height, width)), GraphInput((1, height, width), is_mask=True)
    tau = GraphInput((1, filters, channels, side, side), -0.05, 0.05)
    first = {"first": GraphInput((1, 2 * channels + filters), -0.02, 0.02)} if compares else {}
    judged = ("confidence", "likeness", *["visible"] * asks_head) if compares else ()
    cells = (1, "samples", rows, columns)
    made = {
        "begin": Graph(
            module=BeginGraph(network, config.learner.initial_steps, describes=compares),
            inputs={"crop": crop, "mask": mask},
            outputs=("tau", "x", "label", "weight", *first),
        ),
        "predict": Graph(
            module=PredictGraph(network, config.crop.size, asks_head=asks_head),
            inputs={"crop": crop, "tau": tau, **first},
            outputs=("logits", "x", *judged),
        ),
        "label": Graph(
            module=EncodeGraph(network), inputs={"mask": mask}, outputs=("label", "weight")
        ),
    }
    if config.learner.update_steps:
        made["learn"] = Graph(
            module=Fit(network, config.learner.update_steps),
            inputs={
                "tau": tau,
                "x": GraphInput((*cells, channels), -0.02, 0.02),
                "label": GraphInput((*cells, filters)),
                "v": GraphInput((*cells, filters), 0.0, 0.2),
            },
            outputs=("tau_after",),
        )
    if network.box_encoder is not None and config.crop.box_view == "crop":
        made["box"] = Graph(
            module=BoxStartGraph(network, config.crop.size),
            inputs={"crop": crop, "box": GraphInput((1, 4), 8.0, 40.0)},
            outputs=("logits",),
        )
    return made
