"""Groups of options of ``maskcast batch run``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from tyro.conf import UseAppendAction

from maskcast.cli.arguments import MethodName, Options, WeightsArgument, shown_as
from maskcast.core.config import options_from
from maskcast.core.device_names import DeviceName

if TYPE_CHECKING:
    from maskcast.batch.job import VideoSettings
    from maskcast.batch.policy import BatchPolicy
    from maskcast.batch.ray_connection import RayOptions
    from maskcast.batch.waiting import Choice

AllowedProtocols: TypeAlias = Annotated[
    UseAppendAction[tuple[Literal["https"], ...]], shown_as("PROTOCOL", None)
]


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Settings of the videos whose rows have none of their own."""

    weights: WeightsArgument = None
    """name or file of the weights, which also select the method."""
    method: MethodName = None
    """a method, run with its default weights."""
    option: Options = ()
    """NAME=VALUE, a setting of the method."""
    start: Annotated[str | None, shown_as("FRAME|TIME")] = None
    """first frame to segment, as a number or a time (12.5s, 1:02)."""
    end: Annotated[str | None, shown_as("FRAME|TIME")] = None
    """frame or time to stop before, in the same form."""
    direction: Literal["forward", "both"] = "forward"
    """both also segments backward, to fill the frames before an object's first mask."""
    on_bad_frame: Literal["stop", "hold"] = "stop"
    """stop: the video fails at an unreadable frame; hold: repeat the frame before."""
    mask_threshold: Annotated[int | None, shown_as("VALUE")] = None
    """lowest grey value (1 to 255) that belongs to the object."""

    def settings(self) -> VideoSettings:
        """Return the settings of a video whose row has none of its own."""
        from maskcast.batch.job import ModelChoice, VideoSettings

        options = options_from(self.option)
        return VideoSettings(
            start=self.start,
            end=self.end,
            direction=self.direction,
            on_bad_frame=self.on_bad_frame,
            mask_threshold=self.mask_threshold,
            model=ModelChoice(weights=self.weights, method=self.method, options=options),
        )


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """The worker processes of a batch."""

    jobs: Annotated[int | None, shown_as("COUNT")] = None
    """number of worker processes; default: one per GPU and --per-device, else one."""
    per_device: int = 1
    """worker processes per GPU, for the default of --jobs."""
    threads: Annotated[int | None, shown_as("COUNT")] = None
    """CPU threads of each worker; default: cores / jobs, or 1 with --ray. Masks may depend on it in
    the last bit, so it stays the same for the whole batch."""

    def count(self, device: DeviceName) -> int:
        """Return the number of workers on this machine."""
        from maskcast.core.gpus import gpu_count

        return max(gpu_count(device), 1) * self.per_device if self.jobs is None else self.jobs


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Workers on a Ray cluster."""

    ray: Annotated[str | None, shown_as("ADDRESS")] = None
    """run the workers on a Ray cluster that has been started already: HOST:PORT of its head, or
    auto inside a Ray job and on the nodes of the cluster."""
    workers: Annotated[str | None, shown_as("COUNT|MIN:MAX")] = None
    """number of workers on the Ray cluster; with MIN:MAX, it grows to MAX while the cluster finds
    room."""
    trust_network: bool = False
    """join a Ray cluster without RAY_AUTH_MODE=token, which runs code from everyone on its network.
    """

    def counts(self, here: WorkerOptions, device: DeviceName) -> tuple[int, int]:
        """Return the smallest and the largest number of workers.

        Raises:
            UsageError: the numbers belong to a cluster and to this machine.
        """
        from maskcast.batch.policy import workers_from
        from maskcast.core.errors import UsageError

        if self.ray is None:
            if self.workers is not None:
                raise UsageError(
                    "workers belong to a Ray cluster; use jobs on this machine",
                    options=("jobs", "ray"),
                )
            return here.count(device), here.count(device)
        if self.workers is None or here.jobs is not None:
            raise UsageError("give the number of workers of a Ray cluster", options=("workers",))
        return workers_from(self.workers)

    def cluster(self, here: WorkerOptions, device: DeviceName) -> RayOptions | None:
        """Return which cluster to join; None for this machine."""
        from maskcast.batch.ray_connection import RayOptions

        if self.ray is None:
            return None
        return RayOptions(
            address=self.ray,
            trusts_network=self.trust_network,
            per_device=here.per_device,
            uses_gpus=None if device == "auto" else device.startswith("cuda"),
        )


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """Videos and results in object stores."""

    allow: AllowedProtocols = ()
    """also accept addresses of this protocol (https)."""
    max_input: Annotated[str, shown_as("SIZE", None)] = "50GB"
    """reject videos in object stores that are larger, such as 500MB or 50GB."""
    save_remote: Annotated[str, shown_as("TIME", None)] = "5m"
    """copy an unfinished video to an object store once per this time, so that another machine can
    continue it."""


@dataclass(frozen=True, kw_only=True)
class AttemptOptions:
    """How often videos are tried, and when a batch gives up."""

    attempts: int = 3
    """number of failed attempts after which a video is given up."""
    time_limit: Annotated[str | None, shown_as("TIME")] = None
    """maximum time of work per video, such as 90s, 5m or 2h, over all attempts."""
    stall: Annotated[str, shown_as("TIME", None)] = "5m"
    """time without progress after which a worker is replaced."""
    max_failed: Annotated[str, shown_as("COUNT|PERCENT", None)] = "5%"
    """number of failed videos, or per cent of the rows (at least 20), above which the batch stops.
    """
    retry_failed: bool = False
    """segment videos again that failed in an earlier call."""
    redo_changed: bool = False
    """segment finished videos again whose row or input has changed."""

    def policy(self, counts: tuple[int, int]) -> BatchPolicy:
        """Return when attempts end and are repeated."""
        from maskcast.batch.policy import BatchPolicy, seconds_from

        stall = seconds_from(self.stall, "stall")
        least, most = counts
        return BatchPolicy(jobs=most, least_jobs=least, attempts=self.attempts, stall=stall)

    def choice(self) -> Choice:
        """Return what happens to rows of earlier calls."""
        from maskcast.batch.policy import seconds_from
        from maskcast.batch.waiting import Choice

        limit = self.time_limit
        return Choice(
            retry_failed=self.retry_failed,
            redo_changed=self.redo_changed,
            time_limit=None if limit is None else seconds_from(limit, "time_limit"),
        )
