"""Which data LWL is trained on: videos, single pictures made into clips, made-up clips."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcast.core.errors import ConfigError
from maskcast.data.clip_folder import read_clip_folder
from maskcast.data.clips import AnnotatedVideo, ClipSource, VideoClips
from maskcast.data.decoded import decode_videos
from maskcast.data.image_pairs import PairCutouts, PhotoScenes, read_image_pairs, read_photographs
from maskcast.data.made_up import MadeUpClips
from maskcast.data.mixture import Share
from maskcast.data.static_clips import StaticClips


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Folders with data and how often each kind is drawn from; a kind with weight 0 is not used."""

    youtube_vos: Path | None = None
    """YouTube-VOS with its ``train`` folder; 300 of its videos are held out."""
    youtube_vos_weight: float = 6.0
    davis: Path | None = None
    """DAVIS 2017 with its ``train`` list."""
    davis_weight: float = 1.0
    coco: Path | None = None
    """COCO with ``annotations/instances_*.json``; each instance is a clip of one frame, repeated."""
    coco_weight: float = 0.0
    videos: tuple[Path, ...] = ()
    """Folders that hold a folder for each video, with ``frames`` and ``masks``."""
    videos_weight: float = 0.0
    pictures: tuple[Path, ...] = ()
    """Folders with ``images`` and ``masks``: made into clips by moving object and scene apart."""
    pictures_weight: float = 0.0
    scenes: tuple[Path, ...] = ()
    """Folders of photographs: backgrounds of made-up clips."""
    made_up_weight: float = 0.0
    held_out: tuple[str, ...] = ()
    """Names of videos in ``videos`` that are never trained on, but validated with."""
    decoded: Path | None = None
    """Folder for decoded pictures, several times faster to read; it may become large."""
    all_objects_as_one: bool = False
    """Treat all objects of a video in ``videos`` as one."""

    def __post_init__(self) -> None:
        weights = [
            getattr(self, name) for name in self.__dataclass_fields__ if name.endswith("_weight")
        ]
        if min(weights) < 0 or max(weights) == 0:
            raise ConfigError(f"weights of data cannot all be 0, and none negative, got {self}")


@dataclass(frozen=True)
class TrainingSources:
    """Opened data."""

    training: tuple[Share, ...]
    held_out: tuple[Share, ...]
    fingerprint: str
    """Changes with the names of videos and pictures, and how many frames each has."""

    @classmethod
    def open(cls, config: DataConfig, *, query_frames: int) -> TrainingSources:
        """Open everything that has a weight.

        Raises:
            ConfigError: data with a weight were not given.
            DatasetError, MissingFileError: data are faulty, or not where they were said to be.
        """
        opened = _Opened(config, query_frames)
        if config.videos_weight:
            opened.add_videos()
        if config.pictures_weight:
            opened.add_pictures()
        if config.made_up_weight:
            opened.add_made_up()
        return cls(tuple(opened.training), tuple(opened.held_out), opened.digest.hexdigest()[:16])


class _Opened:
    """Collects sources while they are opened."""

    def __init__(self, config: DataConfig, query_frames: int) -> None:
        self.config = config
        self.query_frames = query_frames
        self.training: list[Share] = []
        self.held_out: list[Share] = []
        self.digest = hashlib.sha256()

    def add_videos(self) -> None:
        config = self.config
        _require(config.videos, "videos")
        videos = self._decoded(read_clip_folder(*config.videos).videos, "videos")
        missing = set(config.held_out) - {video.name for video in videos}
        if missing:
            raise ConfigError(f"held-out videos are not there: {', '.join(sorted(missing))}")
        kept = [video for video in videos if video.name not in config.held_out]
        apart = [video for video in videos if video.name in config.held_out]
        self.training.append(Share(self._clips("videos", kept), config.videos_weight))
        if apart:
            self.held_out.append(Share(self._clips("held-out videos", apart), 1.0))

    def add_pictures(self) -> None:
        config = self.config
        _require(config.pictures, "pictures")
        clips = StaticClips("pictures", self._read_pictures())
        self.training.append(Share(clips, config.pictures_weight))

    def add_made_up(self) -> None:
        config = self.config
        scenes = [scene for folder in config.scenes for scene in read_photographs(folder)]
        clips = MadeUpClips(
            cutouts=PairCutouts(self._read_pictures()) if config.pictures else None,
            scenes=PhotoScenes(self._decoded(scenes, "scenes")) if scenes else None,
        )
        self.training.append(Share(clips, config.made_up_weight))

    def _read_pictures(self) -> Sequence[AnnotatedVideo]:
        pictures = [
            picture for folder in self.config.pictures for picture in read_image_pairs(folder)
        ]
        return self._decoded(pictures, "pictures")

    def _clips(self, name: str, videos: Sequence[AnnotatedVideo]) -> ClipSource:
        return VideoClips(
            name,
            videos,
            test_frames=self.query_frames,
            single_object=self.config.all_objects_as_one,
        )

    def _decoded(self, videos: Sequence[AnnotatedVideo], name: str) -> Sequence[AnnotatedVideo]:
        for video in videos:
            self.digest.update(f"{name}/{video.name}/{len(video.frame_names)};".encode())
        if self.config.decoded is None:
            return videos
        return decode_videos(videos, self.config.decoded, name=name)


def _require(given: Sequence[Path], name: str) -> None:
    if not given:
        raise ConfigError(
            f"this recipe draws from {name}: give --data.{name} FOLDER, or leave them out with "
            f"--data.{name}-weight 0"
        )
