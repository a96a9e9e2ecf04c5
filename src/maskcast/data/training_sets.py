"""Open the data sets of a training run, once for all methods: videos, pictures and hold-outs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maskcast.core.errors import ConfigError
from maskcast.data.clips import AnnotatedVideo
from maskcast.data.dataset import Dataset
from maskcast.data.decoded import decode_videos
from maskcast.data.hold_outs import draw_hold_out, read_hold_out, without
from maskcast.data.readers.clip_folder import read_clip_folder
from maskcast.data.readers.davis import open_davis
from maskcast.data.readers.image_pairs import read_image_pairs, read_photographs
from maskcast.data.readers.youtube_vos import open_youtube_vos

DRAWN_SHARE = 0.1
"""Share of videos that are held out if they are drawn; at least one, unless it is the only one."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoSet:
    """The videos of one data set."""

    name: str
    training: Sequence[AnnotatedVideo]
    held_out: Sequence[AnnotatedVideo] = ()


class TrainingSets:
    """Opens data sets for training, and sums up what they hold.

    Args:
        held_out: names of videos to validate with, in any data set that is split by name.
        decoded: folder for decoded pictures; None reads the files of the data sets.
        draws_instead: whether to draw a tenth of the videos of a data set that has none of the
            names in ``held_out``.
    """

    def __init__(
        self,
        held_out: Collection[str] = (),
        decoded: Path | None = None,
        *,
        draws_instead: bool = False,
    ) -> None:
        self._held_out, self._decoded = held_out, decoded
        self._draws_instead = draws_instead
        self._named: set[str] = set()
        self._digest = hashlib.sha256()

    @property
    def fingerprint(self) -> str:
        """Changes with the names of what was opened, and how many frames each video has."""
        return self._digest.hexdigest()[:16]

    def davis(self, root: Path, *, year: Literal[2016, 2017] = 2017) -> VideoSet:
        """Open the training split of DAVIS.

        Raises:
            DatasetError, MissingFileError: files are missing or faulty; so do the other methods.
        """
        return self._by_name("DAVIS", open_davis(root, year=year, split="train", purpose="train"))

    def videos(self, name: str, folders: Sequence[Path]) -> VideoSet:
        """Open folders that hold a folder for each video, with ``frames`` and ``masks``."""
        return self._by_name(name, read_clip_folder(*folders))

    def pictures(self, name: str, folders: Sequence[Path]) -> Sequence[AnnotatedVideo]:
        """Open folders with ``images`` and ``masks``; a picture is a video of one frame."""
        return self.take(name, [pair for folder in folders for pair in read_image_pairs(folder)])

    def photographs(self, name: str, folders: Sequence[Path]) -> Sequence[AnnotatedVideo]:
        """Open folders of pictures without masks."""
        return self.take(name, [photo for folder in folders for photo in read_photographs(folder)])

    def take(self, name: str, videos: Sequence[AnnotatedVideo]) -> Sequence[AnnotatedVideo]:
        """Add videos to the fingerprint, and cache their decoded frames if a folder is set.

        Raises:
            OutputError: the folder for decoded pictures is not writable.
        """
        self.note(name, videos)
        if self._decoded is None or not videos:
            return videos
        return decode_videos(videos, self._decoded, name=name)

    def note(self, name: str, videos: Sequence[AnnotatedVideo]) -> None:
        """Add videos to the fingerprint."""
        for video in videos:
            self._digest.update(f"{name}/{video.name}/{len(video.frame_names)};".encode())

    def note_files(self, name: str, files: Sequence[Path]) -> None:
        """Add the names of files to the fingerprint."""
        for file in files:
            self._digest.update(f"{name}/{file.name};".encode())

    def check_hold_outs(self) -> None:
        """Raise ``ConfigError`` if a name to hold out was in none of the data sets."""
        missing = sorted(set(self._held_out) - self._named)
        if missing:
            raise ConfigError(
                f"held-out videos do not exist: {', '.join(missing)}", options=("data.held_out",)
            )

    def _by_name(self, name: str, dataset: Dataset) -> VideoSet:
        videos = self.take(name, dataset.videos)
        self._named.update(video.name for video in videos)
        held_out = self._hold_out_of(name, [video.name for video in videos])
        kept = [video for video in videos if video.name not in held_out]
        apart = [video for video in videos if video.name in held_out]
        if apart and held_out is self._held_out:
            names = ", ".join(video.name for video in apart)
            logger.info("held out of %s for validation, by name: %s", name, names)
            if self._draws_instead:
                self._named.update(held_out)  # the others of the default need not exist
        return VideoSet(name, kept, apart)

    def _hold_out_of(self, name: str, videos: Sequence[str]) -> Collection[str]:
        """Return the names to hold out of a data set; say which ones if they are drawn."""
        if not self._draws_instead or not set(self._held_out).isdisjoint(videos):
            return self._held_out
        self._named.update(self._held_out)  # they need not exist
        count = max(1, round(DRAWN_SHARE * len(videos))) if len(videos) > 1 else 0
        drawn = draw_hold_out(videos, count=count)
        logger.info("held out of %s for validation: %s", name, ", ".join(drawn) or "none")
        return drawn


def split_youtube_vos(
    root: Path,
    *,
    year: Literal[2018, 2019],
    listed: Path | None,
    draw: Callable[[Dataset], Collection[str]],
) -> tuple[Dataset, Dataset]:
    """Open the training split of YouTube-VOS, and return the kept and the held-out videos.

    Args:
        root: folder with ``train``.
        year: version of the data set.
        listed: file with the names to hold out; None draws them.
        draw: draws these names.

    Raises:
        DatasetError, MissingFileError: files are missing or faulty, or a listed name is unknown.
        ConfigError: more videos would be held out than there are.
    """
    dataset = open_youtube_vos(root, year=year, split="train", purpose="train")
    return without(dataset, draw(dataset) if listed is None else read_hold_out(listed))


def nothing_to_train_on(*names: str) -> ConfigError:
    """Return the error for a recipe without data; ``names`` are settings that could give some."""
    return ConfigError("no data to train on; give the folder of a data set", options=names)
