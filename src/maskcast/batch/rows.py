"""Turn one row of a manifest into a job; every fault of the row is listed. Imports no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from maskcast.batch.addresses import Location, Url, is_address, location_of
from maskcast.batch.job import VideoJob, VideoSettings, checked_id, with_model
from maskcast.core.config import options_from
from maskcast.core.errors import DataError, MaskcastError
from maskcast.core.numbers import finite_number, shortened, signed_number, whole_number

FAILURE = "_failure"
"""Field that ``failures.jsonl`` adds to a row; it is ignored."""
EXTRA = "x_"
"""Start of the names of fields that are passed on to ``results.csv``."""
FIELDS = (
    *("video", "id", "masks", "boxes", "start", "end", "direction", "on_bad_frame"),
    *("mask_threshold", "weights", "method", "options", "priority", "seconds", "sha256"),
    "time_limit",
)
FIELDS_AND_FAILURE = frozenset((*FIELDS, FAILURE))
SETTINGS = frozenset(
    (
        *("start", "end", "direction", "on_bad_frame", "mask_threshold"),
        *("weights", "method", "options"),
    )
)
"""Fields that change the settings of a row."""
CHOICES = {"direction": ("forward", "both"), "on_bad_frame": ("stop", "hold")}
NUMBERS = ("priority", "seconds", "time_limit", "mask_threshold")
LARGEST_PRIORITY = 2**53

ModelFault: TypeAlias = Callable[[str | None, str | None], str | None]
"""Returns what is wrong with weights and a method, or None."""


class RowFault(NamedTuple):
    """One fault of a row."""

    field: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class RowRules:
    """How the rows of a manifest are understood."""

    folder: Location
    """Folder that relative paths start from."""
    is_root: bool = False
    """Whether all paths must stay inside ``folder``."""
    defaults: VideoSettings = field(default_factory=VideoSettings)
    """Settings of rows that have none of their own."""
    allowed: frozenset[str] = frozenset()
    """Protocols of addresses that the user allows; see ``addresses.location_of``."""
    model_fault: ModelFault | None = None


class RowError(Exception):
    """The errors in a row."""

    def __init__(self, faults: Sequence[RowFault]) -> None:
        super().__init__(faults)
        self.faults = faults


def parse_row(values: Mapping[str, Any], rules: RowRules) -> VideoJob:
    """Turn the entries of a row into a job.

    Args:
        values: entries by field, as in JSON; None and "" count as not given.
        rules: how they are understood.

    Raises:
        RowError: at least one field is wrong.
    """
    row = _Row({k: v for k, v in values.items() if v not in (None, "")}, rules)
    job = row.job()
    if row.faults:
        raise RowError(row.faults)
    return job


class PlainRow(NamedTuple):
    """What the index of a manifest keeps of a row, and the id."""

    id: str
    priority: int
    seconds: float | None


PLAIN = frozenset(("id", "video", "masks", "priority", "seconds"))
"""Fields of plain rows."""


def plain_row(values: Mapping[str, Any], rules: RowRules) -> PlainRow | None:
    """Return what a plain row says; None if only ``parse_row`` can tell.

    A plain row has an id, a path of a video and one of masks, and no settings: most rows of large
    manifests are plain. ``parse_row`` accepts it too, but takes ten times as long.
    """
    names = values.keys()
    if not names <= PLAIN and any(not n.startswith(EXTRA) for n in names - PLAIN):
        return None
    job_id, video, masks = values.get("id"), values.get("video"), values.get("masks")
    priority, seconds = values.get("priority", 0), values.get("seconds", 0.0)
    if not isinstance(job_id, str) or PLAIN_ID.fullmatch(job_id) is None:
        return None
    is_plain = (
        _is_plain_path(video)
        and _is_plain_path(masks)
        and type(priority) is int
        and abs(priority) <= LARGEST_PRIORITY
        and type(seconds) in (int, float)
        and 0 <= seconds <= LARGEST_PRIORITY
        and not rules.is_root
        and rules.defaults.end is None
        and isinstance(rules.folder, Path)
    )
    return PlainRow(job_id, priority, values.get("seconds")) if is_plain else None


PLAIN_ID = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,8}"
)


def _is_plain_path(value: Any) -> bool:
    return isinstance(value, str) and value != "" and ":" not in value and "\0" not in value


def from_csv(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the entries of a CSV row in the form of JSON.

    Values that have no such form stay as they are, and ``parse_row`` rejects them.
    """
    values: dict[str, Any] = dict(texts)
    for name in ("masks", "boxes", "options"):
        if name in values:
            values[name] = [part.strip() for part in texts[name].split(";") if part.strip()]
    for name in NUMBERS:
        if name in values:
            number = signed_number(texts[name].strip())
            decimal = finite_number(texts[name])
            values[name] = number if number is not None else texts[name]
            if number is None and decimal is not None:
                values[name] = decimal
    return values


class _Row:
    """The entries of one row, and the errors in them."""

    def __init__(self, values: dict[str, Any], rules: RowRules) -> None:
        self.faults: list[RowFault] = []
        self._values = values
        self._rules = rules
        for name in sorted(values.keys() - FIELDS_AND_FAILURE):
            if not name.startswith(EXTRA):
                close = get_close_matches(name, FIELDS, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                self._wrong(shortened(name), f"unknown field{hint}")

    def job(self) -> VideoJob:
        video = self._location("video", self._text("video"))
        if "video" not in self._values:
            self._wrong("video", "missing")
        masks = tuple(self._location("masks", text) for text in self._texts("masks"))
        boxes = tuple(self._boxes())
        has_prompts = masks or boxes or {"masks", "boxes"} & {f.field for f in self.faults}
        if not has_prompts:
            self._wrong("masks", "missing; give masks or boxes")
        return VideoJob(
            id=self._id(video),
            video=video,
            masks=masks,
            boxes=boxes,
            settings=self._settings(),
            priority=int(self._number("priority", least=-LARGEST_PRIORITY, whole=True) or 0),
            seconds=self._number("seconds", least=0),
            sha256=self._sha256(),
            time_limit=self._number("time_limit", least=0),
            extra={k: v for k, v in self._values.items() if k.startswith(EXTRA)},
        )

    def _wrong(self, name: str, sentence: str) -> None:
        self.faults.append(RowFault(name, sentence))

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except MaskcastError as error:
            self._wrong(name, error.summary)

    def _text(self, name: str) -> str:
        value = self._values.get(name, "")
        if isinstance(value, str) and "\0" not in value:
            return value
        self._wrong(name, f"must be text, got {shortened(value)}")
        return ""

    def _texts(self, name: str) -> list[str]:
        value = self._values.get(name, [])
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list) and all(isinstance(v, str) and v for v in values):
            return values
        self._wrong(name, f"must be a path or a list of paths, got {shortened(value)}")
        return []

    def _location(self, name: str, text: str) -> Location:
        folder, location = self._rules.folder, self._resolved(name, text)
        if self._rules.is_root and not _is_inside(location, folder):
            shown = shortened(text.partition("?")[0], 80)
            self._wrong(name, f"{shown!r} is outside the root folder")
        return location

    def _resolved(self, name: str, text: str) -> Location:
        folder = self._rules.folder
        if is_address(text):
            with self._noting(name):
                return location_of(text, allowed=self._rules.allowed)
        elif isinstance(folder, Path):
            joined = os.path.join(folder, text)  # noqa: PTH118 - much quicker, for a million rows
            return Path(os.path.normpath(joined))
        elif not Path(text).is_absolute():
            return folder.joined(text)
        return Path(os.path.normpath(text))

    def _id(self, video: Location) -> str:
        text = self._text("id")
        if not text:
            inner = _inner_path(video, self._rules.folder)
            text = inner.with_suffix("").as_posix() if inner.name else ""
        if text or "id" in self._values:
            try:
                checked_id(text)
            except DataError as error:
                self._wrong("id", error.summary)
        return text

    def _boxes(self) -> Iterator[str]:
        value = self._values.get("boxes", [])
        if not isinstance(value, list):
            self._wrong("boxes", f"must be a list, got {shortened(value)}")
            return
        for entry in value:
            text = entry if isinstance(entry, str) else _box_text(entry)
            if text is None:
                self._wrong(
                    "boxes",
                    'a box must have the form {"frame": 0, "id": 1, "box": [x, y, width, height]}, '
                    f"got {shortened(entry, 80)}",
                )
            else:
                yield text

    def _settings(self) -> VideoSettings:
        defaults = self._rules.defaults
        if defaults.end is None and self._values.keys().isdisjoint(SETTINGS):
            return defaults
        entries: dict[str, Any] = {}
        for name, choices in CHOICES.items():
            if name in self._values:
                if self._values[name] not in choices:
                    got = shortened(self._values[name])
                    self._wrong(name, f"must be {' or '.join(choices)}, got {got}")
                else:
                    entries[name] = self._values[name]
        for name in ("start", "end"):
            if name in self._values:
                entries[name] = self._position(name)
        if "mask_threshold" in self._values:
            threshold = self._number("mask_threshold", least=1, most=255, whole=True)
            entries["mask_threshold"] = None if threshold is None else int(threshold)
        settings = replace(defaults, **entries)
        first, last = (whole_number(text or "") for text in (settings.start, settings.end))
        if first is not None and last is not None and last <= first:
            self._wrong("end", f"must be after start {first}, got {last}")
        return self._with_model(settings)

    def _with_model(self, settings: VideoSettings) -> VideoSettings:
        changes: dict[str, Any] = {}
        for name in ("weights", "method"):
            if name in self._values:
                changes[name] = self._text(name)
        if "options" in self._values:
            changes["options"] = self._options()
        settings = with_model(settings, **changes)
        fault = self._rules.model_fault
        if fault is not None and changes.keys() & {"weights", "method"}:
            sentence = fault(settings.model.weights, settings.model.method)
            if sentence is not None:
                self._wrong("weights" if "weights" in changes else "method", sentence)
        return settings

    def _options(self) -> dict[str, str]:
        value = self._values["options"]
        if isinstance(value, dict) and all(not isinstance(v, dict) for v in value.values()):
            return {name: _option_text(v) for name, v in value.items()}
        with self._noting("options"):
            if isinstance(value, list) and all(isinstance(text, str) for text in value):
                return options_from(value)
            raise DataError(f"must be an object of settings, got {shortened(value)}")
        return {}

    def _position(self, name: str) -> str:
        value = self._values[name]
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if is_number or (isinstance(value, str) and re.fullmatch(r"[0-9:.]{1,20}s?", value)):
            return str(value)
        self._wrong(name, f"must be a frame or a time such as 12.5s, got {shortened(value)}")
        return "0"

    def _number(
        self, name: str, *, least: float, most: float = LARGEST_PRIORITY, whole: bool = False
    ) -> float | None:
        value = self._values.get(name)
        if value is None:
            return None
        kinds = int if whole else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most:
            return value
        kind = "an integer" if whole else "a number"
        limits = f" in [{least}, {most}]" if name == "mask_threshold" else ""
        self._wrong(name, f"must be {kind}{limits}, got {shortened(value)}")
        return None

    def _sha256(self) -> str | None:
        text = self._text("sha256").lower()
        if text and not re.fullmatch(r"[0-9a-f]{64}", text):
            self._wrong("sha256", f"must be 64 hexadecimal digits, got {shortened(text)}")
        return text or None


def _is_inside(location: Location, folder: Location) -> bool:
    """Return whether a location is below a folder, also after links are followed."""
    if isinstance(location, Url):
        return isinstance(folder, Url) and location.is_relative_to(folder)
    if isinstance(folder, Url):
        return False
    return Path(os.path.realpath(location)).is_relative_to(os.path.realpath(folder))


def _inner_path(video: Location, folder: Location) -> Path:
    """Return the path of a video below a folder, or below its top if it is elsewhere."""
    if isinstance(video, Url):
        if isinstance(folder, Url) and video.is_relative_to(folder):
            return Path(str(video).removeprefix(str(folder).rstrip("/")).strip("/"))
        return Path(str(video).partition("://")[2].strip("/"))
    if isinstance(folder, Path) and video.is_relative_to(folder):
        return video.relative_to(folder)
    return video.relative_to(video.anchor or ".")


def _box_text(entry: Any) -> str | None:
    """Return a box of JSON as text; None if it has another form."""
    if not isinstance(entry, dict) or entry.keys() - {"frame", "id", "box"}:
        return None
    numbers = entry.get("box")
    if not isinstance(numbers, list) or len(numbers) != 4:
        return None
    whole = [entry[name] for name in ("frame", "id") if name in entry]
    is_whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in whole)
    is_number = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
    if not is_whole or not is_number or ("frame" in entry and "id" not in entry):
        return None
    return "".join(f"{n}:" for n in whole) + ",".join(map(repr, numbers))


def _option_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
