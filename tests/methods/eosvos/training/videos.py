"""Folders of small synthetic videos, laid out as the training data are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskcast.methods.eosvos.training.config import TaskConfig, TaskDataConfig
from maskcast.methods.eosvos.training.tasks import MetaTaskItems, open_tasks

SIZE = (48, 64)


def write_video(folder: Path, *, frames: int = 6, objects: int = 1, seed: int = 0) -> None:
    """Bright squares, one per object, moving right over dark noise; frame 2 shows nothing."""
    generator = np.random.default_rng(seed)
    for name in ("frames", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(frames):
        picture = generator.integers(0, 60, (*SIZE, 3), dtype=np.uint8)
        labels = np.zeros(SIZE, np.uint8)
        for object_id in range(1, objects + 1) if index != 2 else ():
            rows = slice(20 * (object_id - 1) + 4, 20 * (object_id - 1) + 18)
            columns = slice(10 + 3 * index, 28 + 3 * index)
            picture[rows, columns] = 100 + 70 * object_id
            labels[rows, columns] = object_id
        Image.fromarray(picture).save(folder / "frames" / f"{index:05}.png")
        image = Image.fromarray(labels)
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        image.save(folder / "masks" / f"{index:05}.png")


def meta_tasks(
    root: Path,
    *,
    held_out: tuple[str, ...] = (),
    seed: int = 0,
    epoch: int = 0,
    inner_steps: int = 1,
    **settings: Any,
) -> MetaTaskItems:
    """Tasks from the videos of a folder."""
    opened = open_tasks(TaskDataConfig(videos=(root,), held_out=held_out))
    return MetaTaskItems(
        opened.training,
        TaskConfig(**settings),
        seed=seed,
        epoch=epoch,
        inner_steps=inner_steps,
    )
