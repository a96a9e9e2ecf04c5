"""The errors a person can meet, each with the exit code of the command that reports it."""

from __future__ import annotations


class MaskcastError(Exception):
    """Something a person can put right; its message is one clear sentence."""

    exit_code = 3


class UsageError(MaskcastError, ValueError):
    """The call itself does not make sense: an unknown name, options that exclude each other."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is outside its range, or unknown."""


class DataError(MaskcastError, ValueError):
    """A file or an array holds something other than what was expected."""


class MissingFileError(DataError, FileNotFoundError):
    """A file or folder that was named is not there."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class VideoError(DataError):
    """A video or a folder of frames cannot be read."""


class FrameError(VideoError):
    """One frame cannot be read, or does not fit the frames before it."""


class PromptError(DataError):
    """A given mask or box cannot be used."""


class MaskShapeError(PromptError):
    """A mask and its frame differ in size."""


class WeightsError(DataError):
    """Weights are missing, damaged, hostile, or made for something else."""


class DatasetError(DataError):
    """A data set is incomplete or contradicts itself; the message lists every fault."""


class RunConflictError(UsageError):
    """The output folder holds a run that differs from the one asked for."""


class OutputError(MaskcastError, OSError):
    """Results cannot be written."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class PartialResultError(MaskcastError):
    """Part of the work was done and kept; the rest was not."""

    exit_code = 4


class StateError(DataError):
    """A saved state is damaged, or belongs to another method or other settings."""


class DeviceMemoryError(MaskcastError, RuntimeError):
    """The device has no room for what was asked."""


class TrainingError(MaskcastError, RuntimeError):
    """A training run cannot go on; the message says from where it can."""
