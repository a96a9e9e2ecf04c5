"""Meta-training of the tiny network; torchrun starts it as ``tiny_training.py VIDEOS RUN``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from maskcast.core.training import LoopConfig, OptimiserConfig, Recipe
from maskcast.methods.eosvos.training.config import (
    InnerLoopConfig,
    MetaTrainingConfig,
    TaskDataConfig,
    ValidationConfig,
)
from methods.eosvos import small
from methods.eosvos.training.videos import write_video


def tiny_training(root: Path) -> MetaTrainingConfig:
    """Two steps of two tasks each, on videos that are written to ``root``."""
    if not root.exists():
        write_video(root / "one", objects=2, seed=1)
        write_video(root / "apart", frames=4, seed=3)
    return MetaTrainingConfig(
        method=small.method(network=small.config(sampled_anchors=16, sampled_regions=8)),
        inner=InnerLoopConfig(inner_steps=2),
        data=TaskDataConfig(videos=(root,), held_out=("apart",)),
        start_rate=1e-3,
        rate_rate=1e-3,
        initial_rate=0.01,
        validation=ValidationConfig(inner_steps=1),
        loop=LoopConfig(
            batch_size=2,
            epochs=1,
            iterations=2,
            workers=0,
            log_every=1,
            optimiser=OptimiserConfig(kind="radam"),
        ),
    )


if __name__ == "__main__":
    from maskcast.methods.eosvos.training.meta_training import MetaTraining
    from maskcast.training.loop import train

    chosen = tiny_training(Path(sys.argv[1]))
    recipe = Recipe("test", chosen, MetaTraining)
    train("test", recipe, Path(sys.argv[2]), config=chosen, device="cpu")
