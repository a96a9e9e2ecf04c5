"""Masks from boxes in the training of the box encoder (section 3.7 of the paper).

images    images × 3 × height × width   normalised
boxes     images × 4                    x, y, width, height in pixels of the image
encoding  images × D × h × w            mask encoding at stride 16
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from maskcast.core.tensors import size_of
from maskcast.methods.lwl.network import Features, LWLNetwork


def segment_boxes(
    network: LWLNetwork,
    images: Float[Tensor, "images 3 height width"],
    boxes: Float[Tensor, "images 4"],
    features: Features | None = None,
) -> Float[Tensor, "images height width"]:
    """Return logits of the object in each box.

    Args:
        network: a network with a box encoder.
        images: the images.
        boxes: the boxes.
        features: features of the images; None computes them.
    """
    features = features or network.extract(images)
    encoding = encode_boxes(network, images, boxes, features)
    logits: Tensor = network.decoder(encoding, features.taps, size_of(images))
    return logits


def encode_boxes(
    network: LWLNetwork,
    images: Float[Tensor, "images 3 height width"],
    boxes: Float[Tensor, "images 4"],
    features: Features,
) -> Float[Tensor, "images D h w"]:
    """Return the mask encoding of the object in each box, for the decoder."""
    if network.box_encoder is None:
        raise ValueError("this network has no box encoder")
    encoding: Tensor = network.box_encoder(boxes, features.x, size_of(images))
    return encoding
