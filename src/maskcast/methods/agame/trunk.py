"""The trunk: its last stage stays at stride 16; earlier stages are frozen.

images     frames × 3 × height × width         normalised; sides are multiples of 16
strideS    frames × channels × height/S × width/S
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskcast.methods.agame.config import TrunkChoice
from maskcast.nn.trunks import AnyTrunk, build_trunk, load_trunk


class TrunkFeatures(NamedTuple):
    """Outputs of stages 1, 2 and 4."""

    stride4: Float[Tensor, "frames channels4 height4 width4"]
    stride8: Float[Tensor, "frames channels8 height8 width8"]
    stride16: Float[Tensor, "frames channels16 height16 width16"]


class Trunk(nn.Module):
    """A trunk with stride 1 in stage 4, dilated by 2 after its first block (map: trunk).

    The paper uses a ResNet-101. An EfficientNet-Lite has symmetric padding.

    All stages below stage 4 are frozen from construction: they have no gradients, and their batch
    normalisation always uses running statistics. In training, stage 4 uses the statistics of its
    batch. Call it once per point in time then, with the frames of all clips, in temporal order.

    Args:
        name: name of the trunk.
        classes: number of classes of the unused classifier; 0 for none.
    """

    def __init__(self, name: TrunkChoice = "resnet101", classes: int = 1000) -> None:
        super().__init__()
        self._learns_statistics: list[str] = []
        self.resnet: AnyTrunk = build_trunk(name, padding="symmetric")
        """Named as in the published weights, whatever the trunk."""
        channels = self.resnet.channels
        self.channels = (channels.layer1, channels.layer2, channels.layer4)
        self.classifier = nn.Linear(channels.layer4, classes) if classes else None
        _stay_at_stride_16(self.resnet.layer4)
        self.set_trained(1, batch_statistics=True)

    def set_trained(self, stages: int, *, batch_statistics: bool) -> None:
        """Choose the stages to train.

        Args:
            stages: number of stages to train, counted from stage 4 down; published: 1. Stem and
                classifier are never trained.
            batch_statistics: whether these stages use the statistics of their batch in training.
        """
        trained = [f"layer{stage}" for stage in range(5 - stages, 5)]
        self.requires_grad_(False)
        for name in trained:
            self.resnet.get_submodule(name).requires_grad_(True)
        self._learns_statistics = trained if batch_statistics else []
        self.train(self.training)

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the computation."""
        weight: Tensor = self.resnet.conv1.weight
        return weight.dtype

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load weights in a format of ``load_trunk``; a classifier is loaded only if it fits.

        Raises:
            WeightsError: the weights are not those of this trunk.
        """
        load_trunk(self.resnet, tensors)
        if self.classifier is not None and "fc.weight" in tensors:
            theirs = {name: tensors[f"fc.{name}"] for name in ("weight", "bias")}
            if theirs["weight"].shape == self.classifier.weight.shape:
                self.classifier.load_state_dict(theirs)

    def train(self, mode: bool = True) -> Trunk:
        """Set the mode of the stages with batch statistics; others stay in evaluation mode."""
        super().train(mode)
        for name, stage in self.resnet.named_children():
            if name not in self._learns_statistics:
                stage.eval()
        return self

    def forward(self, images: Float[Tensor, "frames 3 height width"]) -> TrunkFeatures:
        """Return features at strides 4, 8 and 16."""
        taps = self.resnet(images)
        return TrunkFeatures(taps.layer1, taps.layer2, taps.layer4)


def _stay_at_stride_16(stage: nn.Module) -> None:
    """Set the stride of a stage to 1, and the dilation of its blocks after the first to 2."""
    for index, block in enumerate(stage.children()):
        for convolution in block.modules():
            if isinstance(convolution, nn.Conv2d):
                reach = convolution.kernel_size[0] // 2
                if reach > 0 and index > 0:
                    convolution.dilation = (2, 2)
                    convolution.padding = (2 * reach, 2 * reach)
                convolution.stride = (1, 1)
