"""Convolutions for inference on a CPU: packed weights, and activation and sum in one kernel.

oneDNN computes in a memory format of its own. torch converts the weights of a convolution to it in
every call, and passes over the result again for an activation and for the sum of a residual block.
A packed convolution converts its weights once and does the rest inside the kernel.

A packed convolution returns the bits that the separate operations return. Where torch would choose
another kernel than oneDNN's, which adds in another order, the separate operations are used.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Activation: TypeAlias = Literal["none", "relu", "relu6"]

MOST_SUMMED = 192
"""Maximum number of input channels of a 1×1 convolution for which oneDNN and the matrix product
that torch uses with one thread add in the same order, if output channels are a multiple of 8. With
several threads torch uses oneDNN for it as well."""
FEWEST_VALUES = 20480
"""Number of input values up to which torch may use another kernel than oneDNN's."""

_OPERATOR = "_convolution_pointwise"
_ATTRIBUTES: dict[Activation, tuple[str, list[float]]] = {
    "none": ("none", []),
    "relu": ("relu", []),
    "relu6": ("hardtanh", [0.0, 6.0]),
}


def convolve(
    x: Float[Tensor, "batch channels_in height width"],
    conv: nn.Module,
    norm: nn.Module | None = None,
    *,
    activation: Activation = "none",
    added: Float[Tensor, "batch channels new_height new_width"] | None = None,
) -> Float[Tensor, "batch channels new_height new_width"]:
    """Return activation(norm(conv(x)) + added).

    Args:
        x: input of the convolution.
        conv: the convolution, which ``pack_convolutions`` may have packed.
        norm: the BatchNorm after it; an identity if the convolution is packed.
        activation: the last operation.
        added: result of the other branch of a residual block.
    """
    if isinstance(conv, PackedConv2d):
        packed: Tensor = conv(x, activation, added)
        return packed
    y: Tensor = conv(x) if norm is None else norm(conv(x))
    return _finished(y, activation, added)


def _finished(y: Tensor, activation: Activation, added: Tensor | None) -> Tensor:
    """Add and activate, in place if the data types allow it."""
    if added is not None:
        y = y.add_(added) if added.dtype == y.dtype else y + added
    if activation == "none":
        return y
    activate = functional.relu if activation == "relu" else functional.relu6
    return activate(y, inplace=True)


class PackedConv2d(nn.Module):
    """A convolution with packed weights; for inference only.

    Args:
        conv: the convolution, whose weights are kept for inputs that it does not pack.
        activation: the activation of calls without one.
    """

    def __init__(self, conv: nn.Conv2d, activation: Activation = "none") -> None:
        super().__init__()
        self.conv = conv
        self.activation = activation
        self._packed: Tensor | None = None

    def forward(
        self, x: Tensor, activation: Activation | None = None, added: Tensor | None = None
    ) -> Tensor:
        """Return activation(conv(x) + added)."""
        activation = activation or self.activation
        is_fused = added is None or activation != "relu6"  # oneDNN in torch has no sum with ReLU6
        if not (is_fused and self._is_packed_for(x)):
            return _finished(self.conv(x), activation, added)
        conv, operators = self.conv, torch.ops.mkldnn
        how: tuple[Any, ...] = (conv.padding, conv.stride, conv.dilation, conv.groups)
        if self._packed is None:
            self._packed = operators._reorder_convolution_weight(conv.weight, *how, x.shape)
        name, scalars = _ATTRIBUTES[activation]
        y: Tensor
        if added is None:
            y = operators._convolution_pointwise(
                x, self._packed, conv.bias, *how, name, scalars, None
            )
        else:
            unary = None if name == "none" else name
            y = operators._convolution_pointwise.binary(
                x, added, self._packed, conv.bias, *how, "add", None, unary, scalars, None
            )
        return y

    def _is_packed_for(self, x: Tensor) -> bool:
        """Return whether the packed weights give the bits of the separate operations."""
        if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_grad_enabled():
            return False
        conv = self.conv
        is_product = conv.kernel_size == conv.stride == (1, 1) and torch.get_num_threads() == 1
        fits = conv.in_channels <= MOST_SUMMED and conv.out_channels % 8 == 0
        return x.numel() > FEWEST_VALUES and (fits or not is_product)


def pack_convolutions(module: nn.Module) -> None:
    """Replace the convolutions of a module by packed ones, in place, if torch has them.

    In an ``nn.Sequential``, a ReLU after a convolution becomes part of it. All other modules must
    call their convolutions directly or through ``convolve``.
    """
    is_available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (is_available and hasattr(torch.ops.mkldnn, _OPERATOR)):
        return
    for parent in list(module.modules()):
        if not isinstance(parent, PackedConv2d):
            _pack_children(parent)


def _pack_children(parent: nn.Module) -> None:
    children = [item for item in parent.named_children() if not isinstance(item[1], nn.Identity)]
    for (name, conv), follower in zip_longest(children, children[1:]):
        if not isinstance(conv, nn.Conv2d) or getattr(conv, "same", False):
            continue  # TensorFlow's padding may differ between the sides, unlike oneDNN's
        fuses = isinstance(parent, nn.Sequential) and follower and isinstance(follower[1], nn.ReLU)
        setattr(parent, name, PackedConv2d(conv, "relu" if fuses else "none"))
        if fuses:
            setattr(parent, follower[0], nn.Identity())
