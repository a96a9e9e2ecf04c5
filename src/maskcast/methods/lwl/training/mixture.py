"""Mix sources of clips into one data set whose items depend only on (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcast.core.errors import ConfigError, MaskcastError
from maskcast.data.clips import ClipSource
from maskcast.methods.lwl.training.augmentation import ClipSample, process_clip
from maskcast.methods.lwl.training.clip_settings import ClipProcessing


@dataclass(frozen=True)
class Share:
    """A source and its weight relative to the others."""

    source: ClipSource
    weight: float


class MixedClips:
    """An epoch of augmented clips from several sources, drawn by weight.

    Item ``i`` does not depend on the process or the order of reading, because all random numbers
    come from a generator seeded with (seed, epoch, i).

    Args:
        shares: sources with weights; the weights need not sum to 1.
        length: number of items in the epoch.
        epoch: number of the epoch, from 0.
        seed: seed of the run.
        processing: settings of the augmentation.
        test_frames: number of frames of a clip after its first, the train frame.
    """

    def __init__(
        self,
        shares: Sequence[Share],
        *,
        length: int,
        epoch: int,
        seed: int,
        processing: ClipProcessing,
        test_frames: int = 3,
    ) -> None:
        if not shares or min(share.weight for share in shares) < 0:
            raise ConfigError(
                "a mixture of clips requires at least one source and no negative weight"
            )
        total = sum(share.weight for share in shares)
        if total <= 0:
            raise ConfigError("a mixture of clips requires a source with a positive weight")
        self.shares = tuple(shares)
        self.length = length
        self.epoch = epoch
        self.seed = seed
        self.processing = processing
        self.test_frames = test_frames
        self._chances = np.cumsum([share.weight / total for share in shares])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> ClipSample:
        source, generator = self._begin(index)
        clip = source.draw(generator, self.test_frames)
        return process_clip(clip, self.processing, generator)

    def identity(self, index: int) -> str:
        """Return the name of an item, for messages."""
        source, generator = self._begin(index)
        try:
            return source.draw(generator, self.test_frames).name
        except (MaskcastError, OSError) as error:
            return f"an unreadable clip of {source.name} ({error})"

    def _begin(self, index: int) -> tuple[ClipSource, np.random.Generator]:
        """Return the source of an item, and its seeded generator."""
        if not 0 <= index < self.length:
            raise IndexError(f"item {index} of an epoch of {self.length}")
        generator = np.random.default_rng([self.seed, self.epoch, index])
        index_of_share = int(np.searchsorted(self._chances, generator.uniform(), side="right"))
        return self.shares[min(index_of_share, len(self.shares) - 1)].source, generator
