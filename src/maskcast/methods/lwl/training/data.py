"""Training data of LWL: videos, clips made from single pictures, and synthetic clips."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcast.core.errors import ConfigError
from maskcast.data.clips import AnnotatedVideo, ClipSource
from maskcast.data.dataset import Dataset
from maskcast.data.decoded import decode_videos
from maskcast.data.hold_outs import (
    draw_hold_out,
    read_hold_out,
    without,
)
from maskcast.data.readers.clip_folder import read_clip_folder
from maskcast.data.readers.coco import read_coco
from maskcast.data.readers.davis import open_davis
from maskcast.data.readers.image_pairs import read_image_pairs, read_photographs
from maskcast.data.readers.youtube_vos import open_youtube_vos
from maskcast.data.static_clips import StaticClips
from maskcast.data.synthetic.clips import SyntheticClips
from maskcast.data.synthetic.cutouts import CutoutFolder, CutoutMix, CutoutSource, PairCutouts
from maskcast.data.synthetic.scenes import PhotoScenes
from maskcast.methods.lwl.training.coco_clips import CocoClips
from maskcast.methods.lwl.training.config import DataConfig
from maskcast.methods.lwl.training.mixture import Share
from maskcast.methods.lwl.training.video_clips import VideoClips


@dataclass(frozen=True)
class TrainingSources:
    """The opened sources of training and validation clips."""

    training: tuple[Share, ...]
    held_out: tuple[Share, ...]
    fingerprint: str
    """Digest of the names of all videos and pictures and of their numbers of frames."""

    @classmethod
    def open(cls, config: DataConfig, *, query_frames: int) -> TrainingSources:
        """Open all data with a positive weight.

        Raises:
            ConfigError: the folder of data with a positive weight is not set.
            DatasetError, MissingFileError: data are faulty, or a folder does not exist.
        """
        opened = _Opened(config, query_frames)
        if config.youtube_vos_weight:
            opened.add_youtube_vos()
        if config.davis_weight:
            opened.add_davis()
        if config.coco_weight:
            opened.add_coco()
        if config.videos_weight:
            opened.add_videos()
        if config.rendered_weight:
            opened.add_rendered()
        if config.pictures_weight:
            opened.add_pictures()
        if config.made_up_weight:
            opened.add_synthetic()
        opened.refuse_unknown_hold_outs()
        return cls(tuple(opened.training), tuple(opened.held_out), opened.digest.hexdigest()[:16])


class _Opened:
    """The sources opened so far."""

    def __init__(self, config: DataConfig, query_frames: int) -> None:
        self.config = config
        self.query_frames = query_frames
        self.training: list[Share] = []
        self.held_out: list[Share] = []
        self.named: set[str] = set()
        self.digest = hashlib.sha256()
        self._pasted: CutoutSource | None = None

    def add_youtube_vos(self) -> None:
        config = self.config
        root = _folder(config.youtube_vos, "youtube_vos")
        dataset = open_youtube_vos(root, year=2019, split="train", purpose="train")
        held_out = (
            draw_hold_out([video.name for video in dataset], count=config.youtube_vos_hold_out_size)
            if config.youtube_vos_hold_out is None
            else read_hold_out(config.youtube_vos_hold_out)
        )
        kept, apart = without(dataset, held_out)
        self._add(
            "YouTube-VOS",
            self._decoded(kept.videos, "YouTube-VOS"),
            self._decoded(apart.videos, "YouTube-VOS hold-out"),
            config.youtube_vos_weight,
        )

    def add_davis(self) -> None:
        root = _folder(self.config.davis, "davis")
        dataset = open_davis(root, year=2017, split="train", purpose="train")
        self._add_by_name("DAVIS", dataset, self.config.davis_weight)

    def add_videos(self) -> None:
        _require(self.config.videos, "videos")
        dataset = read_clip_folder(*self.config.videos)
        self._add_by_name("videos", dataset, self.config.videos_weight)

    def add_rendered(self) -> None:
        _require(self.config.rendered, "rendered")
        dataset = read_clip_folder(*self.config.rendered)
        self._add_by_name("rendered", dataset, self.config.rendered_weight, merged=False)

    def add_coco(self) -> None:
        config = self.config
        root = _folder(config.coco, "coco")
        pictures = read_coco(
            root / "annotations" / f"instances_{config.coco_split}.json", root / config.coco_split
        )
        self._note(pictures, "COCO")
        self.training.append(Share(CocoClips("COCO", pictures), config.coco_weight))

    def add_pictures(self) -> None:
        config = self.config
        _require(config.pictures, "pictures")
        pictures = self._read_pictures()
        clips = StaticClips(
            "pictures",
            pictures,
            uniform_over=config.sampling.uniform_over,
            absent=config.synthetic_absent,
            strangers=self._pasted_objects(pictures) if config.cutouts else None,
        )
        self.training.append(Share(clips, config.pictures_weight))

    def add_synthetic(self) -> None:
        config = self.config
        scenes = [scene for folder in config.scenes for scene in read_photographs(folder)]
        clips = SyntheticClips(
            cutouts=self._pasted_objects(self._read_pictures() if config.pictures else ()),
            absent=config.synthetic_absent,
            scenes=PhotoScenes(self._decoded(scenes, "scenes")) if scenes else None,
        )
        self.training.append(Share(clips, config.made_up_weight))

    def _pasted_objects(self, pictures: Sequence[AnnotatedVideo]) -> CutoutSource | None:
        """Return the cut-outs, mixed with objects of the pictures if there are any."""
        if not self.config.cutouts:
            return PairCutouts(pictures) if pictures else None
        if self._pasted is None:
            folder = CutoutFolder(*self.config.cutouts)
            for file in folder.files:
                self.digest.update(f"cutouts/{file.name};".encode())
            share = self.config.cutouts_share
            self._pasted = (
                CutoutMix((folder, PairCutouts(pictures)), (share, 1 - share))
                if pictures
                else folder
            )
        return self._pasted

    def refuse_unknown_hold_outs(self) -> None:
        missing = sorted(set(self.config.held_out) - self.named)
        if missing:
            raise ConfigError(
                f"held-out videos do not exist: {', '.join(missing)}", options=("data.held_out",)
            )

    def _add_by_name(
        self, name: str, dataset: Dataset, weight: float, *, merged: bool | None = None
    ) -> None:
        videos = self._decoded(dataset.videos, name)
        self.named.update(video.name for video in videos)
        kept = [video for video in videos if video.name not in self.config.held_out]
        apart = [video for video in videos if video.name in self.config.held_out]
        self._add(name, kept, apart, weight, merged=merged)

    def _add(
        self,
        name: str,
        kept: Sequence[AnnotatedVideo],
        apart: Sequence[AnnotatedVideo],
        weight: float,
        *,
        merged: bool | None = None,
    ) -> None:
        if merged is None:
            merged = self.config.all_objects_as_one
        self.training.append(Share(self._clips(name, kept, merged), weight))
        if apart:
            self.held_out.append(Share(self._clips(f"{name} hold-out", apart, merged), 1.0))

    def _read_pictures(self) -> Sequence[AnnotatedVideo]:
        pictures = [
            picture for folder in self.config.pictures for picture in read_image_pairs(folder)
        ]
        return self._decoded(pictures, "pictures")

    def _clips(self, name: str, videos: Sequence[AnnotatedVideo], merged: bool) -> ClipSource:
        return VideoClips(
            name,
            videos,
            test_frames=self.query_frames,
            sampling=self.config.sampling,
            single_object=merged,
            keep_in=self.config.decoded,
        )

    def _decoded(self, videos: Sequence[AnnotatedVideo], name: str) -> Sequence[AnnotatedVideo]:
        self._note(videos, name)
        if self.config.decoded is None:
            return videos
        return decode_videos(videos, self.config.decoded, name=name)

    def _note(self, videos: Iterable[AnnotatedVideo], name: str) -> None:
        for video in videos:
            self.digest.update(f"{name}/{video.name}/{len(video.frame_names)};".encode())


def _folder(path: Path | None, name: str) -> Path:
    _require((path,) if path else (), name)
    assert path is not None
    return path


def _require(paths: Sequence[Path], name: str) -> None:
    if not paths:
        raise ConfigError(
            f"the recipe draws from data.{name}, which is not set; give its folder, or set "
            f"data.{name}_weight to 0",
            options=(f"data.{name}", f"data.{name}_weight"),
        )
