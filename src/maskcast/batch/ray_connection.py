"""Join a Ray cluster, and the calls of Ray that the engine needs. Ray is an extra.

A cluster is never started from here, because ``ray.init()`` without an address opens ports on all
interfaces of the machine.
"""

from __future__ import annotations

import importlib
import ipaddress
import logging
import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from maskcast.batch.ray_cluster import ActorDiedError, ActorUnreachableError, Handle, Reference
from maskcast.batch.ray_worker import CALLS_AT_ONCE, RayWorker
from maskcast.batch.worker_line import WorkerSetup
from maskcast.core.errors import UsageError
from maskcast.core.extras import how_to_install

LONGEST_NOTE = 200
"""Maximum number of characters of what Ray says about the death of an actor."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Which cluster, and what each worker takes of it."""

    address: str = "auto"
    """``HOST:PORT`` of the head node; ``auto`` means the cluster of this machine or this job."""
    trusts_network: bool = False
    """Join a cluster that anyone on its network may send code to."""
    threads: int = 1
    """CPUs of each worker."""
    per_device: int = 1
    """Number of workers that share a GPU."""
    uses_gpus: bool | None = None
    """Whether workers need a GPU; None means that they do if the cluster has one."""


def join_cluster(options: RayOptions) -> ConnectedCluster:
    """Join a cluster.

    Raises:
        UsageError: Ray is not installed, the cluster cannot be joined, or it accepts code from
            anyone on its network.
    """
    address = options.address
    if "://" in address or address == "local":
        raise UsageError(
            f"the address of a Ray cluster is auto or HOST:PORT, got {address!r}; submit the "
            "command as a Ray job, or run it on the head node",
            options=("ray",),
        )
    ray = _import_ray()
    _keep_quiet()
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            configure_logging=True,
            logging_level=logging.CRITICAL,
        )
    except Exception as error:  # of many classes, not all of them Ray's own
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"cannot join the Ray cluster {address}: {reason}", options=("ray",)
        ) from error
    head = str(ray.get_runtime_context().gcs_address)
    if not (options.trusts_network or _is_guarded() or _is_loopback(head)):
        ray.shutdown()
        raise UsageError(
            f"the Ray cluster {head} accepts code from everyone on its network; start it with "
            "RAY_AUTH_MODE=token, or confirm that you trust the network",
            options=("trust_network",),
        )
    return ConnectedCluster(ray, options)


class ConnectedCluster:
    """A cluster that this process has joined; see ``ray_cluster.Cluster``."""

    def __init__(self, ray: Any, options: RayOptions) -> None:
        self._ray = ray
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        uses_gpus = has_gpus if options.uses_gpus is None else options.uses_gpus
        self._actor = ray.remote(RayWorker).options(
            num_cpus=options.threads,
            num_gpus=1 / options.per_device if uses_gpus else 0,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=CALLS_AT_ONCE,
            scheduling_strategy="SPREAD",
            enable_task_events=False,
        )

    def start(self, module: str, setup: WorkerSetup) -> Handle:
        return self._actor.remote(module, setup)

    def call(self, handle: Handle, method: str, *arguments: Any) -> Reference:
        return getattr(handle, method).remote(*arguments)

    def wait(self, references: Sequence[Reference], timeout: float) -> Collection[Reference]:
        wait = self._ray.wait
        ended, others = wait(list(references), num_returns=1, timeout=timeout, fetch_local=False)
        if ended and others:
            more, _ = wait(others, num_returns=len(others), timeout=0, fetch_local=False)
            ended += more
        return ended  # type: ignore[no-any-return]

    def result(self, reference: Reference) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.ActorUnavailableError as error:
            raise ActorUnreachableError(_summary(error)) from error
        except errors.RayActorError as error:
            raise ActorDiedError(_summary(error)) from error
        except errors.RayTaskError as error:
            raise error.as_instanceof_cause() from error
        except errors.RayError as error:
            raise ActorUnreachableError(_summary(error)) from error

    def kill(self, handle: Handle) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(handle, no_restart=True)

    def is_alive(self, node: str) -> bool:
        return any(entry["NodeID"] == node and entry["Alive"] for entry in self._ray.nodes())

    def draining(self) -> Collection[str]:
        """Return the nodes that leave; none if this version of Ray does not tell."""
        with suppress(Exception):  # not a public function
            state = importlib.import_module("ray._private.state").state
            return set(state.get_draining_nodes())
        return ()

    def close(self) -> None:
        self._ray.shutdown()


def _import_ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError(
            f"Ray is not installed: {how_to_install('ray')}", options=("ray",)
        ) from error


def _keep_quiet() -> None:
    """Keep Ray's messages about dead workers off standard output; the journal has them too."""
    with suppress(Exception):  # not a public function
        module = importlib.import_module("ray._private.worker")
        module.print_to_stdstream = lambda *_, **__: None  # type: ignore[attr-defined]


def _is_guarded() -> bool:
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _summary(error: Exception) -> str:
    """Return what Ray says about the death of an actor, in one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line.startswith(("The actor is dead", "The actor died"))]
    text = causes[-1] if causes else " ".join(lines)
    return text.partition(" Some common causes")[0][:LONGEST_NOTE]
