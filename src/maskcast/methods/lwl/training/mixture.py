"""Mix sources of clips into one data set whose items depend on (seed, epoch, index) alone."""

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
    """A source and how often it is drawn from, relative to the others."""

    source: ClipSource
    weight: float


class MixedClips:
    """An epoch of clips: a source by weight, a target of it, its frames, and their changes.

    Item ``i`` is the same in every process and in every order of reading, because all that is
    random comes from a generator seeded with (seed, epoch, i).

    Args:
        shares: sources with their weights; the weights need not sum to one.
        length: items of the epoch.
        epoch: counted from 0; another epoch has other items.
        test_frames: frames of a clip besides its first, the train frame.
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
        """Return what an item is made of, for messages about it."""
        source, generator = self._begin(index)
        try:
            return source.draw(generator, self.test_frames).name
        except (MaskcastError, OSError) as error:
            return f"an unreadable clip of {source.name} ({error})"

    def _begin(self, index: int) -> tuple[ClipSource, np.random.Generator]:
        """Seed an item's generator and draw its source."""
        if not 0 <= index < self.length:
            raise IndexError(f"item {index} of an epoch of {self.length}")
        generator = np.random.default_rng([self.seed, self.epoch, index])
        place = int(np.searchsorted(self._chances, generator.uniform(), side="right"))
        return self.shares[min(place, len(self.shares) - 1)].source, generator
