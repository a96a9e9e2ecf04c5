"""Training data of LWL: videos, clips made from single pictures, and synthetic clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcast.core.errors import ConfigError
from maskcast.data.clips import AnnotatedVideo, ClipSource
from maskcast.data.hold_outs import draw_hold_out
from maskcast.data.readers.coco import read_coco
from maskcast.data.static_clips import StaticClips
from maskcast.data.synthetic.clips import SyntheticClips
from maskcast.data.synthetic.cutouts import CutoutFolder, CutoutMix, CutoutSource, PairCutouts
from maskcast.data.synthetic.scenes import PhotoScenes
from maskcast.data.training_sets import TrainingSets, VideoSet, split_youtube_vos
from maskcast.methods.lwl.training.coco_clips import CocoClips
from maskcast.methods.lwl.training.config import DataConfig
from maskcast.methods.lwl.training.mixture import Share
from maskcast.methods.lwl.training.own_videos import draws_hold_out, without_missing
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
            DatasetError, MissingFileError: data are invalid, or a folder does not exist.
        """
        config = without_missing(config)
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
        if config.synthetic_weight:
            opened.add_synthetic()
        opened.sets.check_hold_outs()
        return cls(tuple(opened.training), tuple(opened.held_out), opened.sets.fingerprint)


class _Opened:
    """The sources opened so far."""

    def __init__(self, config: DataConfig, query_frames: int) -> None:
        self.config = config
        self.query_frames = query_frames
        self.training: list[Share] = []
        self.held_out: list[Share] = []
        self.sets = TrainingSets(
            config.held_out, config.decoded, draws_instead=draws_hold_out(config)
        )
        self._pasted: CutoutSource | None = None

    def add_youtube_vos(self) -> None:
        config = self.config
        root = _folder(config.youtube_vos, "youtube_vos")
        kept, apart = split_youtube_vos(
            root,
            year=2019,
            listed=config.youtube_vos_hold_out,
            draw=lambda dataset: draw_hold_out(
                [video.name for video in dataset], count=config.youtube_vos_hold_out_size
            ),
        )
        name = "YouTube-VOS"
        training = self.sets.take(name, kept.videos)
        held_out = self.sets.take(f"{name} hold-out", apart.videos)
        self._add(VideoSet(name, training, held_out), config.youtube_vos_weight)

    def add_davis(self) -> None:
        root = _folder(self.config.davis, "davis")
        self._add(self.sets.davis(root), self.config.davis_weight)

    def add_videos(self) -> None:
        _require(self.config.videos, "videos")
        self._add(self.sets.videos("videos", self.config.videos), self.config.videos_weight)

    def add_rendered(self) -> None:
        _require(self.config.rendered, "rendered")
        rendered = self.sets.videos("rendered", self.config.rendered)
        self._add(rendered, self.config.rendered_weight, merged=False)

    def add_coco(self) -> None:
        config = self.config
        root = _folder(config.coco, "coco")
        pictures = read_coco(
            root / "annotations" / f"instances_{config.coco_split}.json", root / config.coco_split
        )
        self.sets.note("COCO", pictures)
        self.training.append(Share(CocoClips("COCO", pictures), config.coco_weight))

    def add_pictures(self) -> None:
        config = self.config
        _require(config.pictures, "pictures")
        pictures = self.sets.pictures("pictures", config.pictures)
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
        pictures = self.sets.pictures("pictures", config.pictures) if config.pictures else ()
        cutouts = self._pasted_objects(pictures)
        scenes = self.sets.photographs("scenes", config.scenes)
        clips = SyntheticClips(
            cutouts=cutouts,
            absent=config.synthetic_absent,
            scenes=PhotoScenes(scenes) if scenes else None,
        )
        self.training.append(Share(clips, config.synthetic_weight))

    def _pasted_objects(self, pictures: Sequence[AnnotatedVideo]) -> CutoutSource | None:
        """Return the cut-outs, mixed with objects of the pictures if there are any."""
        if not self.config.cutouts:
            return PairCutouts(pictures) if pictures else None
        if self._pasted is None:
            folder = CutoutFolder(*self.config.cutouts)
            self.sets.note_files("cutouts", folder.files)
            share = self.config.cutouts_share
            self._pasted = (
                CutoutMix((folder, PairCutouts(pictures)), (share, 1 - share))
                if pictures
                else folder
            )
        return self._pasted

    def _add(self, videos: VideoSet, weight: float, *, merged: bool | None = None) -> None:
        if merged is None:
            merged = self.config.all_objects_as_one
        if videos.held_out and not videos.training:
            names = ", ".join(video.name for video in videos.held_out)
            raise ConfigError(
                f"all videos of {videos.name} are held out for validation by name ({names}), so "
                "that none is left to train on; hold out others, or none",
                options=("data.held_out",),
            )
        self.training.append(Share(self._clips(videos.name, videos.training, merged), weight))
        if videos.held_out:
            clips = self._clips(f"{videos.name} hold-out", videos.held_out, merged)
            self.held_out.append(Share(clips, 1.0))

    def _clips(self, name: str, videos: Sequence[AnnotatedVideo], merged: bool) -> ClipSource:
        return VideoClips(
            name,
            videos,
            test_frames=self.query_frames,
            sampling=self.config.sampling,
            single_object=merged,
            keep_in=self.config.decoded,
        )


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
