"""The network: it encodes a frame, and starts, segments and updates every object with it.

    image          frames × 3 × height × width            normalised; sides are multiples of 16
    masks y        objects × 2 × height/16 × width/16     background and target, 0..1
    coarse C       objects × 2 × height/16 × width/16     logits
    fine Z         objects × 2 × height × width           logits

At test time there is one frame for all objects; in training each clip of a batch has its own frame
and one object, so frames = objects.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskcast.methods.agame.appearance import AppearanceModel, Mixture
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.decoder import Decoder
from maskcast.methods.agame.fusion import Fusion
from maskcast.methods.agame.propagation import MaskPropagation
from maskcast.methods.agame.trunk import Trunk


class FrameFeatures(NamedTuple):
    """The features of a frame, which all objects share."""

    stride4: Float[Tensor, "frames channels4 height4 width4"]
    stride8: Float[Tensor, "frames channels8 height8 width8"]
    stride16: Float[Tensor, "frames channels16 height16 width16"]
    x: Float[Tensor, "frames cells channels"] | None
    """Features projected for the appearance model; None without one."""

    def to(self, dtype: torch.dtype) -> FrameFeatures:
        """Return the taps in this precision; x is unchanged."""
        return self._replace(
            stride4=self.stride4.to(dtype),
            stride8=self.stride8.to(dtype),
            stride16=self.stride16.to(dtype),
        )


@dataclass(frozen=True)
class TrackedObjects:
    """The state of all tracked objects, stacked."""

    mixture: Mixture | None
    """Appearance models; None if the network has none."""
    part_of_first_frame: Float[Tensor, "objects channels height width"] | None
    """Contribution of first frame and first mask to the propagation; None without propagation."""
    first_mask: Float[Tensor, "objects 2 height width"]
    previous_mask: Float[Tensor, "objects 2 height width"]

    def __len__(self) -> int:
        return len(self.first_mask)

    def select(self, slots: Sequence[int]) -> TrackedObjects:
        """Return the objects in some slots, in this order."""
        chosen = torch.tensor(slots, dtype=torch.int64, device=self.first_mask.device)
        part, mixture = self.part_of_first_frame, self.mixture
        return TrackedObjects(
            mixture=mixture and mixture.select(chosen),
            part_of_first_frame=None if part is None else part[chosen],
            first_mask=self.first_mask[chosen],
            previous_mask=self.previous_mask[chosen],
        )

    def with_replaced(self, slots: Sequence[int], others: TrackedObjects) -> TrackedObjects:
        """Return the objects with those in some slots replaced by ``others``, in this order."""
        order = list(range(len(self)))
        for row, slot in enumerate(slots):
            order[slot] = len(self) + row
        return self.joined(others).select(order)

    def joined(self, others: TrackedObjects) -> TrackedObjects:
        """Return these objects followed by others."""
        mixture, part = None, None
        if self.mixture is not None and others.mixture is not None:
            mixture = self.mixture.joined(others.mixture)
        if self.part_of_first_frame is not None and others.part_of_first_frame is not None:
            part = torch.cat([self.part_of_first_frame, others.part_of_first_frame])
        return TrackedObjects(
            mixture=mixture,
            part_of_first_frame=part,
            first_mask=torch.cat([self.first_mask, others.first_mask]),
            previous_mask=torch.cat([self.previous_mask, others.previous_mask]),
        )


class Prediction(NamedTuple):
    """The predictions of the network for every object on a frame."""

    scores: Float[Tensor, "objects components height16 width16"] | None
    """Output of the appearance model; None without one."""
    coarse: Float[Tensor, "objects 2 height16 width16"]
    fine: Float[Tensor, "objects 2 height width"]

    def select(self, indices: Sequence[int]) -> Prediction:
        """Return the predictions of some objects, in this order."""
        if list(indices) == list(range(len(self.fine))):
            return self
        chosen = torch.tensor(indices, dtype=torch.int64, device=self.fine.device)
        scores = None if self.scores is None else self.scores[chosen]
        return Prediction(scores, self.coarse[chosen], self.fine[chosen])

    def split(self) -> list[Prediction]:
        """Return one prediction per object."""
        scores = [None] * len(self.fine) if self.scores is None else torch.split(self.scores, 1)
        parts = zip(scores, torch.split(self.coarse, 1), torch.split(self.fine, 1), strict=True)
        return [Prediction(*part) for part in parts]

    @staticmethod
    def joined(parts: Sequence[Prediction]) -> Prediction:
        """Undo ``split``."""
        scores = [part.scores for part in parts if part.scores is not None]
        return Prediction(
            torch.cat(scores) if scores else None,
            torch.cat([part.coarse for part in parts]),
            torch.cat([part.fine for part in parts]),
        )


class AgameNetwork(nn.Module):
    """Trunk, appearance model, mask propagation, fusion and decoder (map: one frame)."""

    def __init__(self, config: AgameConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk, config.trunk_classes)
        self.exact_trunk: Trunk | None = None
        stride4, stride8, stride16 = self.trunk.channels
        appearance, propagation = config.appearance, config.propagation
        self.appearance = (
            None if appearance.output == "none" else AppearanceModel(appearance, stride16)
        )
        self.propagation = MaskPropagation(propagation, stride16) if propagation.enabled else None
        self.fusion = Fusion(config.fusion, appearance.output_channels, propagation.output_channels)
        self.decoder = Decoder(stride4, stride8, config.fusion.channels, config.decoder_channels)
        _initialise(self.propagation, self.fusion, self.decoder)

    def use_dtype(self, dtype: torch.dtype) -> None:
        """Compute in ``dtype``; for inference only.

        The appearance models, the logits, and everything computed on the first frame of an object,
        which affects all later frames, keep at least float32.
        """
        if dtype.itemsize >= torch.float32.itemsize:
            self.to(dtype)
            return
        self.exact_trunk = copy.deepcopy(self.trunk)
        self.trunk.to(dtype)
        if self.propagation is not None:
            self.propagation.use_dtype(dtype)
        self.fusion.use_dtype(dtype)
        self.decoder.use_dtype(dtype)

    def features(
        self, image: Float[Tensor, "frames 3 height width"], *, exact: bool = False
    ) -> FrameFeatures:
        """Encode frames; in training, call it once per point in time (see ``Trunk``).

        Args:
            image: one or more frames.
            exact: compute in at least float32 despite ``use_dtype``, for frames on which objects
                start.
        """
        trunk = self.exact_trunk if exact and self.exact_trunk is not None else self.trunk
        image = image.to(trunk.dtype).contiguous(memory_format=torch.channels_last)
        taps = trunk(image)
        x = None if self.appearance is None else self.appearance.project(taps.stride16)
        return FrameFeatures(taps.stride4, taps.stride8, taps.stride16, x)

    def begin(
        self, features: FrameFeatures, y: Float[Tensor, "objects 2 height width"]
    ) -> TrackedObjects:
        """Start objects with the given masks of their first frame (map: components)."""
        mixture, part = None, None
        if self.appearance is not None and features.x is not None:
            with _full_precision(features.x):
                mixture = self.appearance.estimate(features.x, _as_weights(y, features.x))
        if self.propagation is not None:
            part = self.propagation.part_of_first_frame(features.stride16, y)
        return TrackedObjects(mixture, part, first_mask=y, previous_mask=y)

    def predict(self, features: FrameFeatures, objects: TrackedObjects) -> Prediction:
        """Segment every object on a frame, independently of the others (map: one frame)."""
        scores, propagated = None, None
        if self.appearance is not None and features.x is not None and objects.mixture is not None:
            with _full_precision(features.x):
                scores = self.appearance.output(features.x, objects.mixture)
            scores = scores.reshape(*scores.shape[:2], *features.stride16.shape[-2:])
        if self.propagation is not None and objects.part_of_first_frame is not None:
            propagated = self.propagation(
                self.propagation.part_of_this_frame(features.stride16),
                objects.part_of_first_frame,
                objects.previous_mask,
            )
        encoding, coarse = self.fusion(scores, propagated)
        fine = self.decoder(encoding, features.stride8, features.stride4)
        return Prediction(scores, _widened(coarse), _widened(fine))

    def update(
        self,
        features: FrameFeatures,
        objects: TrackedObjects,
        y: Float[Tensor, "objects 2 height width"],
    ) -> TrackedObjects:
        """Update the models with a segmented frame; keep its mask for the next (map: update)."""
        mixture, x = objects.mixture, features.x
        if self.appearance is not None and x is not None and mixture is not None:
            with _full_precision(x):
                mixture = self.appearance.update(mixture, x, _as_weights(y, x))
        return replace(objects, mixture=mixture, previous_mask=y)

    def learn_absence(
        self, features: FrameFeatures, objects: TrackedObjects, certain: Sequence[bool]
    ) -> TrackedObjects:
        """Update objects with a frame on which they are absent.

        Args:
            features: features of the frame.
            objects: the absent objects.
            certain: for each object, whether the user marked it as absent. If so, its previous mask
                becomes empty; otherwise it is unchanged, so that the object is searched for where
                it was last seen.
        """
        mixture, x = objects.mixture, features.x
        if self.appearance is not None and x is not None and mixture is not None:
            with _full_precision(x):
                mixture = self.appearance.update_without_object(mixture, x)
        previous_mask = objects.previous_mask.clone()
        slots = [slot for slot, is_certain in enumerate(certain) if is_certain]
        previous_mask[slots, 0] = 1
        previous_mask[slots, 1] = 0
        return replace(objects, mixture=mixture, previous_mask=previous_mask)


def _full_precision(x: Tensor) -> torch.autocast:
    """Disable autocast for the appearance model, which sums over thousands of cells."""
    return torch.autocast(x.device.type, enabled=False)


def _as_weights(y: Tensor, x: Tensor) -> Tensor:
    return y.flatten(2).to(x.dtype)


def _widened(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _initialise(*parts: nn.Module | None) -> None:
    """Draw the weights of every convolution from U(±√(6 / fan-in)); biases are 0."""
    for part in parts:
        for module in part.modules() if part is not None else ():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
