"""The snippets of an epoch of A-GAME's training, and their sources (map: epochs)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from maskcast.core.errors import DatasetError, MaskcastError
from maskcast.data.clips import AnnotatedVideo
from maskcast.data.dataset import Dataset
from maskcast.data.hold_outs import draw_hold_out
from maskcast.data.static_clips import StaticClips
from maskcast.data.synthetic.clips import SyntheticClips
from maskcast.data.synthetic.cutouts import PairCutouts
from maskcast.data.synthetic.scenes import PhotoScenes
from maskcast.data.training_sets import (
    TrainingSets,
    VideoSet,
    nothing_to_train_on,
    split_youtube_vos,
)
from maskcast.methods.agame.training.config import DataConfig, SnippetConfig
from maskcast.methods.agame.training.snippets import (
    ClipSnippets,
    Snippet,
    SnippetSource,
    VideoSnippets,
    augmented,
)

YOUTUBE_VOS_SIZE = (720, 1280)
"""Height and width of the videos used for training; others are skipped, as published."""


@dataclass(frozen=True)
class TrainingSources:
    """The opened sources of training and validation snippets."""

    training: tuple[SnippetSource, ...]
    held_out: tuple[VideoSnippets, ...]
    fingerprint: str
    """Digest of the names of all videos and pictures and of their numbers of frames."""

    @classmethod
    def open(
        cls, config: DataConfig, snippets: SnippetConfig, *, validation_length: int
    ) -> TrainingSources:
        """Open all sources that are set.

        Raises:
            ConfigError: no source is set.
            DatasetError, MissingFileError: data are invalid, or a folder does not exist.
        """
        if not config.sources:
            raise nothing_to_train_on(
                "data.davis", "data.youtube_vos", "data.videos", "data.pictures"
            )
        opened = _Opened(config, snippets, replace(snippets, length=validation_length))
        add = {
            "davis": opened.add_davis,
            "youtube_vos": opened.add_youtube_vos,
            "synthetic": opened.add_synthetic,
            "videos": opened.add_videos,
            "pictures": opened.add_pictures,
        }
        for name in config.sources:
            add[name]()
        opened.sets.check_hold_outs()
        return cls(tuple(opened.training), tuple(opened.held_out), opened.sets.fingerprint)


class _Opened:
    """The sources opened so far."""

    def __init__(
        self, config: DataConfig, snippets: SnippetConfig, validation: SnippetConfig
    ) -> None:
        self.config, self.snippets, self.validation = config, snippets, validation
        self.training: list[SnippetSource] = []
        self.held_out: list[VideoSnippets] = []
        self.sets = TrainingSets(config.held_out, config.decoded)

    def add_davis(self) -> None:
        assert self.config.davis is not None
        self._add(self.sets.davis(self.config.davis))

    def add_youtube_vos(self) -> None:
        config = self.config
        assert config.youtube_vos is not None
        kept, apart = split_youtube_vos(
            config.youtube_vos,
            year=2018,
            listed=config.youtube_vos_hold_out,
            draw=lambda dataset: draw_hold_out(
                [video.name for video in dataset], count=config.youtube_vos_hold_out_size
            ),
        )
        name, large = "YouTube-VOS", (_large(kept), _large(apart))
        self._add(
            VideoSet(name, *(self.sets.take(name, videos) for videos in large)), candidate_pixels=10
        )

    def add_videos(self) -> None:
        self._add(self.sets.videos("videos", self.config.videos))

    def add_synthetic(self) -> None:
        config = self.config
        cutouts = PairCutouts(self.sets.pictures("synthetic", config.synthetic))
        scenes = self.sets.photographs("backgrounds", config.backgrounds)
        clips = SyntheticClips(
            objects=(1, 5), cutouts=cutouts, scenes=PhotoScenes(scenes) if scenes else None
        )
        self.training.append(ClipSnippets(clips, self.snippets))

    def add_pictures(self) -> None:
        clips = StaticClips("pictures", self.sets.pictures("pictures", self.config.pictures))
        self.training.append(ClipSnippets(clips, self.snippets))

    def _add(self, videos: VideoSet, *, candidate_pixels: int = 25) -> None:
        make = partial(
            VideoSnippets,
            candidate_pixels=candidate_pixels,
            single_object=self.config.all_objects_as_one,
            keep_in=self.config.decoded,
        )
        self.training.append(make(videos.name, videos.training, self.snippets))
        if videos.held_out:
            self.held_out.append(make(f"{videos.name} hold-out", videos.held_out, self.validation))


def _large(dataset: Dataset) -> list[AnnotatedVideo]:
    """Return the videos of YouTube-VOS that have the size used for training."""
    large: list[AnnotatedVideo] = [video for video in dataset if video.size == YOUTUBE_VOS_SIZE]
    if len(dataset) and not large:
        height, width = YOUTUBE_VOS_SIZE
        raise DatasetError(
            f"none of {len(dataset)} videos of YouTube-VOS ({dataset.videos[0].name} and others) "
            f"is {height}×{width}, the only size used for training"
        )
    return large


class SnippetEpoch:
    """The snippets of one epoch; a snippet depends only on (seed, epoch, index)."""

    def __init__(
        self,
        sources: Sequence[SnippetSource],
        data: DataConfig,
        snippets: SnippetConfig,
        *,
        seed: int,
        epoch: int,
    ) -> None:
        self.sources, self.snippets = tuple(sources), snippets
        self.seed, self.epoch = seed, epoch
        self.order = draw_order(self.sources, data, np.random.default_rng([seed, epoch]))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Snippet:
        generator = np.random.default_rng([self.seed, self.epoch, index])
        return augmented(self._draw(index, generator), self.snippets, generator)

    def identity(self, index: int) -> str:
        """Return the name of an item, for messages."""
        source, _ = self.order[index % len(self.order)]
        try:
            return self._draw(index, np.random.default_rng([self.seed, self.epoch, index])).name
        except (MaskcastError, OSError) as error:
            return f"an unreadable snippet of {self.sources[source].name} ({error})"

    def _draw(self, index: int, generator: np.random.Generator) -> Snippet:
        source, target = self.order[index % len(self.order)]
        return self.sources[source].draw(target, generator)


def draw_order(
    sources: Sequence[SnippetSource], data: DataConfig, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """Return source and target of every snippet of an epoch, as indices (map: epochs)."""
    sizes = [len(source) for source in sources]
    if data.epoch == "draws":
        weights = np.array([getattr(data, f"{name}_weight") for name in data.sources])
        chosen = generator.choice(len(sources), size=data.draws, p=weights / weights.sum())
        return [
            (int(source_index), int(generator.integers(sizes[source_index])))
            for source_index in chosen
        ]
    lengths = [
        data.draws if isinstance(source, ClipSnippets) else size
        for source, size in zip(sources, sizes, strict=True)
    ]
    targets = [
        (source_index, target) for source_index, n in enumerate(lengths) for target in range(n)
    ]
    if data.epoch == "pass":
        return [targets[i] for i in generator.permutation(len(targets))]
    chances = np.array([1 / lengths[source_index] for source_index, _ in targets])
    count = min(2 * lengths[0], len(targets))
    order = generator.choice(len(targets), size=count, replace=False, p=chances / chances.sum())
    return [targets[i] for i in order]
