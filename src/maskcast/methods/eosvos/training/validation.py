"""Validate a learned start: fine-tune on first frames, and score the following frames."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from maskcast.core.segmenter import VideoSegmenter
from maskcast.core.types import to_frame
from maskcast.data.clips import AnnotatedVideo, object_mask
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.inner_loop import LearnedStart
from maskcast.methods.eosvos.object_model import ObjectModel
from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter
from maskcast.methods.eosvos.training.config import ValidationConfig
from maskcast.methods.eosvos.training.tasks import TaskVideo
from maskcast.metrics.region import region_similarity

log = logging.getLogger(__name__)


class ValidationObject(NamedTuple):
    """One object of a video; the id None stands for all objects as one."""

    video: AnnotatedVideo
    object_id: int | None


def objects_of(videos: Sequence[TaskVideo]) -> list[ValidationObject]:
    """Return all objects of all videos; they have equal weight."""
    return [
        ValidationObject(entry.video, object_id) for entry in videos for object_id in entry.objects
    ]


def fine_tuned_similarity(
    method: EOSVOSConfig,
    learned: LearnedStart,
    followed: ValidationObject,
    config: ValidationConfig,
) -> float:
    """Return the mean J over the frames of an object after fine-tuning on its first frame."""
    tested = replace(
        method,
        inner_steps=config.inner_steps,
        inner_batch=config.batch,
        spatial_augmentation=config.spatial_augmentation,
        online_adaptation=False,
    )
    device = next(learned.parameters()).device
    trained = [p.requires_grad for p in learned.parameters()]
    segmenter = EOSVOSSegmenter(tested, ObjectModel(tested, learned, device=device), device)
    for parameter, required in zip(learned.parameters(), trained, strict=True):
        parameter.requires_grad_(required)
    score = object_similarity(segmenter, *followed, config)
    log.info("%s, object %s: J %.3f", followed.video.name, followed.object_id or "all", score)
    return score


def object_similarity(
    segmenter: VideoSegmenter[Any],
    video: AnnotatedVideo,
    object_id: int | None,
    config: ValidationConfig,
) -> float:
    """Segment one object from its first frame on; return the mean J, without first and last."""
    masks = {
        index: mask
        for index in range(len(video.frame_names))
        if (mask := read_mask(video, object_id, index)) is not None
    }
    first = next(index for index, mask in masks.items() if bool(mask.any()))
    indices = [index for index in masks if index >= first][:: config.every]
    indices = indices[: (config.most_frames or len(indices)) + 1]
    state, scores = segmenter.start(), []
    for index in indices:
        prompts = {1: masks[index]} if index == first else {}
        state, segmented = segmenter.step(state, to_frame(video.read_frame(index)), prompts)
        if index != first:
            predicted = (segmented.label_map() == 1).cpu().numpy()
            scores.append(region_similarity(predicted, masks[index].numpy()))
    return float(np.mean(scores[:-1] or scores))


def read_mask(
    video: AnnotatedVideo, object_id: int | None, index: int
) -> Bool[Tensor, "height width"] | None:
    """Return the mask of an object on a frame; None if the frame has no annotation."""
    label_map = video.read_annotation(index)
    if label_map is None:
        return None
    return torch.from_numpy(object_mask(label_map, object_id, has_void=video.has_void) == 1)
