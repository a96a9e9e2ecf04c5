"""One video of a batch, and the settings that all videos share. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from maskcast.batch.addresses import Location, Url
from maskcast.batch.store import signature
from maskcast.core.config import config_to_dict
from maskcast.core.device_names import DeviceName, SharedDtype
from maskcast.core.errors import DataError
from maskcast.core.files import check_name
from maskcast.io.video.frame_folder import is_frame_file
from maskcast.io.video.reader import OnBadFrame
from maskcast.runs.export_settings import Exports

if TYPE_CHECKING:
    from maskcast.core.segmenter import SegmenterSource

Direction: TypeAlias = Literal["forward", "both"]
ResultForm: TypeAlias = Literal["png", "rle", "zip"]
"""How masks are stored: as ``runs.masks.MaskForm``, or PNGs in one archive, ``masks.zip``."""
LONGEST_ID = 1024
"""Maximum number of characters of the id of a video."""


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Weights, method and options; videos with equal choices share one segmenter."""

    weights: str | None = None
    """Name or path of the weights; None means the default weights."""
    method: str | None = None
    """Name of the method; None means that of the weights."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Settings of the method by name, as text."""


@runtime_checkable
class MakesSource(Protocol):
    """Describes a segmenter, such as the class ``methods.spec.SegmenterSpec``.

    It must be picklable, because worker processes call it.
    """

    def __call__(
        self,
        *,
        weights: str | None,
        method: str | None,
        options: Mapping[str, str],
        device: DeviceName,
        dtype: SharedDtype,
    ) -> SegmenterSource:
        """Return the description; nothing is built."""
        ...


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """What a row of a manifest may set; the command sets what rows do not."""

    start: str | None = None
    """First frame to segment, as a number or a time (12.5s, 1:02)."""
    end: str | None = None
    """First frame not to segment, as a number or a time."""
    direction: Direction = "forward"
    """``both`` also fills the frames before each object's first prompt."""
    on_bad_frame: OnBadFrame = "stop"
    """``stop`` fails at a frame that cannot be read; ``hold`` repeats the one before."""
    mask_threshold: int | None = None
    """Smallest grey value (1 to 255) at which a pixel of a soft mask belongs to object 1."""
    model: ModelChoice = field(default_factory=ModelChoice)
    """The segmenter."""


@dataclass(frozen=True, kw_only=True)
class VideoJob:
    """One row of a manifest: a video, its prompts, and its settings."""

    id: str
    """Name of the result, with ``/`` between folders; unique in a batch."""
    video: Location
    """A video file, or a folder of frames."""
    masks: tuple[Location, ...] = ()
    """Mask files or folders of them."""
    boxes: tuple[str, ...] = ()
    """``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT``."""
    settings: VideoSettings = field(default_factory=VideoSettings)
    priority: int = 0
    """Videos with a higher priority are segmented first."""
    seconds: float | None = None
    """Length of the video in seconds, if known."""
    sha256: str | None = None
    """SHA-256 that the video file must have, in hexadecimal digits."""
    time_limit: float | None = None
    """Maximum time of work in seconds, over all attempts."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Entries named ``x_…``, which are passed on to ``results.csv``."""

    def row(self) -> dict[str, Any]:
        """Return the row of a manifest that describes this job, with absolute paths.

        Keys in addresses are left out.
        """
        entries: dict[str, Any] = {"id": self.id, "video": str(self.video)}
        entries["masks"] = [str(path) for path in self.masks]
        entries["boxes"] = list(self.boxes)
        settings = config_to_dict(self.settings)
        entries |= settings.pop("model") | settings
        for name in ("priority", "seconds", "sha256", "time_limit"):
            entries[name] = getattr(self, name)
        kept = {name: value for name, value in entries.items() if value not in (None, [], {}, 0)}
        return kept | dict(self.extra)


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """Settings that all videos of a batch share."""

    form: ResultForm = "png"
    device: DeviceName = "auto"
    dtype: SharedDtype = "float32"
    threads: int = 1
    """CPU threads of each worker; results may depend on it in the last bit."""
    deterministic: bool = False
    exports: Exports = field(default_factory=Exports)
    keep_states: bool = False
    """Keep saved states in the folders of finished videos."""
    hash_folders: bool = False
    """Put two hexadecimal digits before each id, so that no folder gets too many entries."""

    def folder(self, job_id: str) -> Path:
        """Return the path of a video's results, relative to the folder of all results."""
        parts = job_id.split("/")
        if self.hash_folders:
            parts.insert(0, blake2b(job_id.encode(), digest_size=1).hexdigest())
        return Path(*parts)

    def deciding(self) -> dict[str, Any]:
        """Return the settings that determine results."""
        settings = config_to_dict(self)
        del settings["device"], settings["keep_states"]
        return settings


def request_digest(job: VideoJob, settings: BatchSettings) -> str:
    """Return a digest of everything that determines the results, except files.

    Paths do not count, so that results stay finished when all files are moved; ``input_digest``
    describes the files.
    """
    row = job.row()
    for name in ("video", "masks", "priority", "seconds", "time_limit", *job.extra):
        row.pop(name, None)
    shared = {"dtype": settings.dtype, "deterministic": settings.deterministic}
    return _digest({**row, **shared, "form": settings.form})


def input_digest(job: VideoJob) -> str | None:
    """Return a digest of names, sizes and times of the input files; None if one is missing.

    Files in object stores count with their ETag instead of their time. Files of weights count only
    if they are given as paths.
    """
    weights = job.settings.model.weights
    files = [job.video, *job.masks]
    if weights is not None and Path(weights).is_file():
        files.append(Path(weights))
    try:
        return _digest(
            [
                signature(file) if isinstance(file, Url) else list(_signatures(file))
                for file in files
            ]
        )
    except OSError:
        return None


def checked_id(text: str) -> str:
    """Return an id whose parts are safe names of folders.

    Raises:
        DataError: a part is empty, hidden, too long, or contains a control character, a backslash
            or a drive letter; or the whole id is too long.
    """
    if len(text) > LONGEST_ID:
        raise DataError(f"an id has {len(text)} characters, more than {LONGEST_ID}")
    for part in text.split("/"):
        check_name(part)
    return text


def with_model(settings: VideoSettings, **changes: Any) -> VideoSettings:
    """Return settings with entries of the model replaced; other weights drop the options."""
    if not changes:
        return settings
    before = ModelChoice() if changes.keys() - {"options"} else settings.model
    return replace(settings, model=replace(before, **changes))


def _signatures(path: Path) -> Iterator[tuple[str, int, int]]:
    entries = sorted(path.iterdir()) if path.is_dir() else [path]
    for entry in entries:
        if len(entries) == 1 or is_frame_file(entry) or entry.suffix in (".json", ".npy"):
            status = os.stat(entry)  # noqa: PTH116 - quicker than Path.stat for many files
            yield entry.name, status.st_size, status.st_mtime_ns


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()
