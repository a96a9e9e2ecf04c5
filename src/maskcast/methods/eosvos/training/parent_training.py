"""The handcrafted baseline of Table 1: a parent network, and one learning rate by grid search.

The parent network is trained on single frames, with all objects of a frame merged to one. It can
also initialise meta-training if COCO weights are unavailable; then every object of a picture is a
separate target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer, UInt8
from torch import Tensor, nn

from maskcast.core.config import config_to_dict
from maskcast.core.errors import ConfigError, PromptError
from maskcast.core.randomness import generator_of, seeded
from maskcast.core.training import Export
from maskcast.core.types import to_frame
from maskcast.methods.eosvos.augmentation import draw_visible_warp, flip, warp_frame, warp_label_map
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.inner_loop import LearnedStart, learned_start_of
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.methods.eosvos.published import take_start_weights
from maskcast.methods.eosvos.targets import VOID, Target, make_target
from maskcast.methods.eosvos.training.config import ParentTrainingConfig, ValidationConfig
from maskcast.methods.eosvos.training.precision import refuse_low_precision
from maskcast.methods.eosvos.training.tasks import OpenedTasks, TaskVideo, open_tasks
from maskcast.methods.eosvos.training.validation import fine_tuned_similarity, objects_of

GRID = tuple(10 ** (half / 2) for half in range(-12, -3))
"""Learning rates of the grid search, 1e-6 to 1e-2 in half decades; the paper's are unpublished."""
MOST_TRIES = 100


class ParentFrame(NamedTuple):
    """A frame with all its objects, and the seed for the samplers of the network."""

    frame: Float[Tensor, "3 height width"]
    label_map: UInt8[Tensor, "height width"]
    seed: int


class ParentFrames:
    """An epoch of single frames in random order; frames without an object are skipped."""

    def __init__(
        self, videos: Sequence[TaskVideo], config: ParentTrainingConfig, *, seed: int, epoch: int
    ) -> None:
        self.videos = [entry.video for entry in videos]
        self.config = config
        self.seed = seed
        self.epoch = epoch
        self._starts = np.cumsum([0, *(len(video.frame_names) for video in self.videos)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> ParentFrame:
        generator = generator_of(self.seed, self.epoch, index)
        turn, position = divmod(index, len(self))
        order = torch.randperm(len(self), generator=generator_of(self.seed, self.epoch, turn, 0))
        item = int(order[position])
        for _ in range(MOST_TRIES):
            frame = self._read(item, generator)
            if frame is not None:
                return ParentFrame(*frame, int(torch.randint(2**31, (), generator=generator)))
            item = int(torch.randint(len(self), (), generator=generator))
        raise ConfigError(
            f"no object in {MOST_TRIES} random frames; check the masks of the data set"
        )

    def _read(self, item: int, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
        number = int(np.searchsorted(self._starts, item, side="right")) - 1
        video, index = self.videos[number], item - int(self._starts[number])
        annotation = video.read_annotation(index)
        if annotation is None:
            return None
        label_map = torch.from_numpy(annotation.astype(np.uint8))
        if not _objects(label_map).any():
            return None
        frame = to_frame(video.read_frame(index))
        if float(torch.rand((), generator=generator)) < 0.5:
            frame, label_map = flip(frame, label_map)
        warp = draw_visible_warp(_objects(label_map).to(torch.uint8), generator)
        frame, label_map = warp_frame(frame, warp), warp_label_map(label_map, warp)
        if self.config.crop is not None:
            frame, label_map = random_crop(frame, label_map, self.config.crop, generator)
        shows = bool(_objects(label_map).any())
        return (frame.contiguous(), label_map.contiguous()) if shows else None


def _objects(label_map: Tensor) -> Tensor:
    return (label_map != 0) & (label_map != VOID)


def make_instance_target(label_map: Integer[Tensor, "height width"]) -> Target:
    """Return a target with every id of a label map as an object, except void (255).

    Raises:
        PromptError: the label map shows no object.
    """
    ids = [value for value in torch.unique(label_map).tolist() if value not in (0, VOID)]
    targets = [make_target((label_map == value).to(torch.uint8)) for value in ids]
    if not targets:
        raise PromptError("the label map is empty; a training frame must show an object")
    return Target(
        boxes=torch.cat([target["boxes"] for target in targets]),
        labels=torch.cat([target["labels"] for target in targets]),
        masks=torch.cat([target["masks"] for target in targets]),
    )


def random_crop(
    frame: Tensor, label_map: Tensor, size: tuple[int, int], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a random window; a smaller frame is padded with black and background, right and below."""
    height, width = size
    missing = [max(0, width - frame.shape[-1]), max(0, height - frame.shape[-2])]
    frame = F.pad(frame, (0, missing[0], 0, missing[1]))
    label_map = F.pad(label_map, (0, missing[0], 0, missing[1]))
    top = int(torch.randint(frame.shape[-2] - height + 1, (), generator=generator))
    left = int(torch.randint(frame.shape[-1] - width + 1, (), generator=generator))
    window = (..., slice(top, top + height), slice(left, left + width))
    return frame[window], label_map[window]


class ParentTraining:
    """Training of the network on single frames, as a task of the training engine."""

    def __init__(self, config: ParentTrainingConfig) -> None:
        self.config = config
        self.network = ObjectNetwork(config.method.network)
        if config.start_weights is not None:
            take_start_weights(self.network, config.start_weights)
        self.network.to(memory_format=torch.channels_last)
        self._opened: OpenedTasks | None = None

    @property
    def module(self) -> nn.Module:
        return self.network

    @property
    def opened(self) -> OpenedTasks:
        """The data, opened at first use."""
        if self._opened is None:
            self._opened = open_tasks(replace(self.config.data, all_objects_as_one=True))
        return self._opened

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        return [{"params": list(self.network.published_parameters().values())}]

    def dataset(self, epoch: int) -> ParentFrames:
        config = self.config
        return ParentFrames(self.opened.training, config, seed=config.loop.seed, epoch=epoch)

    def collate(self, items: Sequence[ParentFrame]) -> list[ParentFrame]:
        return list(items)

    def loss(self, batch: Sequence[ParentFrame]) -> dict[str, Tensor]:
        """Return the five losses of Mask R-CNN; random numbers depend only on the items."""
        refuse_low_precision(batch[0].frame.device)
        targets = [self._target(item.label_map) for item in batch]
        prepared = self.network.prepare([item.frame for item in batch], targets)
        with seeded(int(batch[0].seed), prepared.frames.device):
            return self.network.losses(prepared)

    def _target(self, label_map: Tensor) -> Target:
        if self.config.objects == "each":
            return make_instance_target(label_map)
        return make_target(_objects(label_map).to(torch.uint8))

    def _learned(self) -> LearnedStart:
        return learned_start_of(
            self.network, level="single", initial_rate=self.config.single_rate
        ).to(next(self.network.parameters()).device)

    def validation_parts(self) -> int:
        """Return the number of held-out videos, each with all its objects as one."""
        return len(objects_of(self.opened.held_out))

    def validate_part(self, part: int) -> dict[str, float]:
        """Return the mean J of one video after fine-tuning with the single rate."""
        config, learned = self.config, self._learned()
        held_out = objects_of(self.opened.held_out)[part]
        return {"J": fine_tuned_similarity(config.method, learned, held_out, config.validation)}

    def export(self) -> Export:
        tensors = self._learned().state_dict()
        method = config_to_dict(self.config.method)
        return Export("eosvos", method, tensors, {"recipe": "parent training"})

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Load θ⁰ of exported weights.

        Raises:
            WeightsError: θ⁰ does not fit the network.
        """
        learned = self._learned()
        learned.load_tensors(tensors)
        learned.load_into(self.network)

    def data_fingerprint(self) -> str:
        return self.opened.fingerprint


def search_rate(
    method: EOSVOSConfig,
    learned: LearnedStart,
    videos: Sequence[TaskVideo],
    config: ValidationConfig,
    grid: Sequence[float] = GRID,
) -> dict[float, float]:
    """Return the mean J of a parent network after fine-tuning at each single rate.

    Args:
        method: settings of the method.
        learned: the parent network, with level "single"; its rate is restored afterwards.
        videos: a hold-out of the training set, never the data that results are reported on.
        config: settings of the validation.
        grid: learning rates to try.

    Raises:
        ConfigError: the rates are not single, or there is nothing to score.
    """
    if learned.level != "single" or learned.log_rates:
        raise ConfigError("the grid search requires a single learning rate (rate_level=single)")
    (rate,) = learned.stored_rates
    objects = objects_of(videos)
    if not objects:
        raise ConfigError("the grid search requires held-out videos")
    before = rate.detach().clone()
    similarities = {}
    for value in grid:
        rate.data.fill_(value)
        scores = [fine_tuned_similarity(method, learned, one, config) for one in objects]
        similarities[value] = float(np.mean(scores))
    rate.data.copy_(before)
    return similarities
