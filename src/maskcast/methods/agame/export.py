"""The graphs of A-GAME: everything between a frame and the merged masks of all objects.

    frame          1 × 3 × H × W              RGB, 0..1, reduced and padded to multiples of 16
    masks          objects × H × W            of objects that start, 0 or 1, padded
    means, variances     objects × components × channels
    part           objects × channels × H/16 × W/16   contribution of the first frame and mask
    previous_mask  objects × 2 × H/16 × W/16
    limits         objects                    confidence below which an object is absent; 0: never
    taken          1 × H × W                  1 where given masks own the pixels
    probs          objects × H × W            merged; 0 for absent objects

Reducing, padding and the choice of objects are left to the program that runs the graphs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from maskcast.core.errors import UsageError
from maskcast.methods.agame.aggregation import aggregate_probs
from maskcast.methods.agame.appearance import Mixture
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.framing import STRIDE, normalise, to_grid, two_channels, working_size
from maskcast.methods.agame.network import AgameNetwork, FrameFeatures, TrackedObjects
from maskcast.methods.graphs import Graph, GraphInput, MethodGraphs
from maskcast.methods.method import network_with
from maskcast.nn.presence import mean_confidence
from maskcast.nn.resnet import fold_batch_norm

MOST_OBJECTS = 255


class BeginGraph(nn.Module):
    """Starts objects with the masks of a frame."""

    def __init__(self, network: AgameNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame: Tensor, masks: Tensor) -> tuple[Tensor, ...]:
        features = _features(self.network, frame)
        objects = self.network.begin(features, to_grid(two_channels(masks)))
        mixture, part = objects.mixture, objects.part_of_first_frame
        assert mixture is not None and part is not None
        return mixture.means, mixture.variances, part, objects.previous_mask


class StepGraph(nn.Module):
    """Segments all objects on a frame, merges them, and updates those that are visible."""

    def __init__(self, network: AgameNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(  # noqa: PLR0917 - a graph has its inputs by position
        self,
        frame: Tensor,
        means: Tensor,
        variances: Tensor,
        part: Tensor,
        previous_mask: Tensor,
        limits: Tensor,
        taken: Tensor,
    ) -> tuple[Tensor, ...]:
        features = _features(self.network, frame)
        objects = TrackedObjects(Mixture(means, variances), part, previous_mask, previous_mask)
        prediction = self.network.predict(features, objects)
        fine = prediction.fine.softmax(dim=1)
        confidence = mean_confidence(fine[:, 1])
        visible = (confidence >= limits)[:, None, None]
        seen = torch.stack([fine[:, 0].where(visible, 1.0), fine[:, 1].where(visible, 0.0)], 1)
        probs = aggregate_probs(seen)[1:] * visible * (1 - taken)
        masks = {
            "merged": lambda: to_grid(two_channels(probs)),
            "fine": lambda: to_grid(fine),
            "coarse": lambda: prediction.coarse.softmax(dim=1),
        }
        updated = self.network.update(features, objects, masks[self.network.config.update_mask]())
        assert updated.mixture is not None and features.x is not None
        return (
            probs,
            confidence,
            updated.mixture.means.where(visible, means),
            updated.mixture.variances.where(visible, variances),
            updated.previous_mask.where(visible[..., None], previous_mask),
            features.x,
        )


class AbsentGraph(nn.Module):
    """Updates objects with the features of a frame on which they are absent."""

    def __init__(self, network: AgameNetwork) -> None:
        super().__init__()
        self.appearance = network.appearance

    def forward(self, x: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
        assert self.appearance is not None
        mixture = self.appearance.update_without_object(Mixture(means, variances), x)
        return mixture.means, mixture.variances


def graphs(
    config: AgameConfig, tensors: Mapping[str, Tensor] | None, size: tuple[int, int] | None
) -> MethodGraphs:
    """Make the graphs; see ``MakeGraphs``."""
    if size is None:
        raise UsageError(
            "graphs of A-GAME have a fixed input; give the height and width of the video's frames",
            options=("size",),
        )
    if config.appearance.output == "none" or not config.propagation.enabled:
        raise UsageError(
            "ablations of A-GAME without appearance.output or without propagation.enabled cannot "
            "be exported",
            options=("appearance.output", "propagation.enabled"),
        )
    network = network_with(tensors, lambda: AgameNetwork(config), method="A-GAME")
    network.eval().requires_grad_(False)
    fold_batch_norm(network.trunk)
    network.trunk.classifier = None
    rows, columns = (-(-side // STRIDE) for side in working_size(size, config.working_side))
    return MethodGraphs(
        graphs=_graphs(config, network, rows, columns), free_axes={"objects": (1, MOST_OBJECTS)}
    )


def _graphs(
    config: AgameConfig, network: AgameNetwork, rows: int, columns: int
) -> dict[str, Graph]:
    height, width, objects = rows * STRIDE, columns * STRIDE, "objects"
    frame = GraphInput((1, 3, height, width))
    mixture = (objects, config.appearance.components, config.appearance.channels)
    means, variances = GraphInput(mixture, -1.0, 1.0), GraphInput(mixture, 0.5, 1.5)
    state = {
        "means": means,
        "variances": variances,
        "part": GraphInput((objects, config.propagation.channels, rows, columns), -1.0, 1.0),
        "previous_mask": GraphInput((objects, 2, rows, columns)),
    }
    x = GraphInput((1, rows * columns, config.appearance.channels), -1.0, 1.0)
    after = ("means_after", "variances_after")
    made = {
        "begin": Graph(
            module=BeginGraph(network),
            inputs={
                "frame": frame,
                "masks": GraphInput((objects, height, width), is_mask=True),
            },
            outputs=tuple(state),
        ),
        "step": Graph(
            module=StepGraph(network),
            inputs={
                "frame": frame,
                **state,
                "limits": GraphInput((objects,), 0.0, 0.0),
                "taken": GraphInput((1, height, width), is_mask=True),
            },
            outputs=("probs", "confidence", *after, "previous_mask_after", "x"),
        ),
    }
    if config.entry_frame == "given":
        made["absent"] = Graph(
            module=AbsentGraph(network),
            inputs={"x": x, "means": means, "variances": variances},
            outputs=after,
        )
    return made


def _features(network: AgameNetwork, frame: Tensor) -> FrameFeatures:
    return network.features(normalise(frame, network.config.trunk))
