"""Exceptions for problems that the user can fix, each with the exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Kind = TypeVar("Kind", bound="MaskcastError")


class MaskcastError(Exception):
    """A problem that the user can fix: a summary in one line, and further lines for a list.

    Args:
        summary: what is wrong, what was received, and what to do, in one line.
        details: if there are several problems, all of them, one line each.
        options: names of the parameters or settings concerned, such as ``masks`` or
            ``loop.workers``. The message names no command-line flags; the command line adds those
            of ``options``.

    ``str()`` returns the summary, with a colon if details follow, and the details, one per line.
    """

    exit_code = 3

    def __init__(
        self,
        summary: str,
        *,
        details: tuple[str, ...] | list[str] = (),
        options: tuple[str, ...] = (),
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = tuple(details)
        self.options = options

    @classmethod
    def listing(
        cls: type[Kind],
        summary: str,
        problems: tuple[str, ...] | list[str],
        *,
        options: tuple[str, ...] = (),
    ) -> Kind:
        """Return an error about one problem, in one line, or about several, as a list."""
        if len(problems) == 1:
            return cls(f"{summary}: {problems[0]}", options=options)
        return cls(summary, details=problems, options=options)

    def __str__(self) -> str:
        if not self.details:
            return self.summary
        return "\n".join([f"{self.summary}:", *(f"  - {detail}" for detail in self.details)])


class UsageError(MaskcastError, ValueError):
    """An invalid call: an unknown name, or arguments that exclude each other."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown or outside its range."""


class DataError(MaskcastError, ValueError):
    """A file or an array has invalid content."""


class MissingFileError(DataError, FileNotFoundError):
    """A file or folder does not exist."""


class VideoError(DataError):
    """A video or a folder of frames cannot be read."""


class FrameError(VideoError):
    """A frame cannot be read, or its size differs from the frames before it."""


class PromptError(DataError):
    """A given mask or box cannot be used."""


class MaskShapeError(PromptError):
    """The sizes of a mask and its frame differ."""


class WeightsError(DataError):
    """Weights are missing, damaged, malicious, or made for another method."""

    @classmethod
    def mismatch(
        cls, summary: str, *, missing: Iterable[str], unknown: Iterable[str]
    ) -> WeightsError:
        """Return an error that lists the tensors that are missing and those that are unknown."""
        missing, unknown = sorted(missing), sorted(unknown)
        return cls(
            f"{summary}: {len(missing)} tensors missing, {len(unknown)} unknown",
            details=[*(f"missing: {n}" for n in missing), *(f"unknown: {n}" for n in unknown)],
        )


class DatasetError(DataError):
    """A data set is incomplete or inconsistent; ``details`` lists every problem."""


class RunConflictError(UsageError):
    """The output folder holds the results of a different run."""


class OutputError(MaskcastError, OSError):
    """Results cannot be written."""


class TransientError(MaskcastError, OSError):
    """A disk, a network or a store fails; the same call may succeed later."""


class PartialResultError(MaskcastError):
    """Part of the work was completed and saved; the rest failed."""

    exit_code = 4


class StateError(DataError):
    """A saved state is damaged, or belongs to another method or other settings."""


class DeviceMemoryError(MaskcastError, RuntimeError):
    """The device has too little memory."""


class TrainingError(MaskcastError, RuntimeError):
    """A training run cannot continue; the message says where it can resume."""
