"""Start objects from boxes (section 3.7 of the paper).

image      3 × height × width   a frame, or a crop of it
logits     height × width       of the object in a box
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.boxes import clipped_box
from maskcast.core.tensors import Size, size_of
from maskcast.core.types import Box, Frame, Prompts
from maskcast.methods.lwl.aggregation import aggregate_logits
from maskcast.methods.lwl.box_encoder import BoxEncoder
from maskcast.methods.lwl.config import CropConfig
from maskcast.methods.lwl.crop import Patch, cut_image, first_view, paste, view_patch
from maskcast.methods.lwl.decoder import Decoded
from maskcast.methods.lwl.network import Features
from maskcast.methods.lwl.state import Marked

BOX_MARGIN = 1.1
"""Minimum ratio of each side of the patch around a box to that side of the box."""


@dataclass(frozen=True)
class BoxSegmenter:
    """Segments objects in boxes, so that they can start as if these masks had been given.

    Args:
        encoder: the network's box encoder.
        config: settings of crops.
        features: extracts the features of RGB images, images × 3 × height × width.
        decode: maps scores, features and a size to logits.
    """

    encoder: BoxEncoder
    config: CropConfig
    features: Callable[[Tensor], Features]
    decode: Callable[[Tensor, Features, Size], Decoded]

    def mark(self, frame: Frame, box: Box) -> Marked:
        """Segment the object in a box, on the whole frame or on a crop around it.

        The network uses the part inside the frame; the next crop follows from the whole box.
        """
        size = size_of(frame)
        inside = clipped_box(box, size)
        if self.config.box_view == "frame":
            logits = self._logits(frame, inside)
        else:
            patch = box_patch(inside, size, self.config)
            in_patch = self._logits(cut_image(frame, patch), box_in(patch, inside))
            logits = paste(in_patch, patch.extent, size, exact=True)
        return Marked(logits.sigmoid(), box, logits)

    def disjoint(self, marked: dict[int, Marked], prompts: Prompts) -> dict[int, Marked]:
        """With ``disjoint_boxes``, let masks made from boxes give up the pixels of others."""
        if not marked or not self.config.disjoint_boxes:
            return marked
        merged = aggregate_logits(torch.stack([one.logits for one in marked.values()]))[1:]
        return {
            object_id: one._replace(soft_mask=mask) if isinstance(prompts[object_id], Box) else one
            for (object_id, one), mask in zip(marked.items(), merged, strict=True)
        }

    def _logits(self, image: Frame, box: Box) -> Float[Tensor, "height width"]:
        size = size_of(image)
        features = self.features(image[None])
        corners = image.new_tensor([[box.x, box.y, box.width, box.height]])
        scores = self.encoder(corners, features.x, size)
        return self.decode(scores, features, size).logits[0].float()


def box_patch(box: Box, frame_size: Size, crop: CropConfig) -> Patch:
    """Return the patch for segmenting the object in a box; it contains the whole box."""
    view = first_view(box, crop)
    fitting = max(box.height / crop.size[0], box.width / crop.size[1])
    view = replace(view, scale=max(view.scale, BOX_MARGIN * fitting))
    return view_patch(view, frame_size, crop, (0.0, 0.0))


def box_in(patch: Patch, box: Box) -> Box:
    """Convert a box from frame pixels to pixels of the resized patch."""
    (top, left), (bottom, right) = patch.extent
    down, across = patch.output[0] / (bottom - top), patch.output[1] / (right - left)
    return Box((box.x - left) * across, (box.y - top) * down, box.width * across, box.height * down)
