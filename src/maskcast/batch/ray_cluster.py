"""The engine for Ray clusters: one actor per worker. Imports neither torch nor Ray.

Ray's own retries stay off: an actor that dies is replaced by a new one, and the dispatcher counts
the attempts of its video. Videos and results never pass through Ray, only short messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from maskcast.batch.engine import (
    Assignment,
    VideoBegan,
    VideoEnded,
    WorkerEvent,
    WorkerId,
    WorkerLeaving,
    WorkerLost,
    WorkerPending,
    WorkerUnable,
)
from maskcast.batch.policy import PATIENCE
from maskcast.batch.processes import WORKER
from maskcast.batch.ray_worker import Placement, installed_versions
from maskcast.batch.worker_line import WorkerSetup

Handle: TypeAlias = Any
"""An actor."""
Reference: TypeAlias = Any
"""The result of a call that may not have ended; hashable."""
Role: TypeAlias = Literal["locate", "run", "poll", "probe"]

LONGEST_WAIT = 20.0
"""Seconds after which a worker answers although nothing has happened."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the nodes."""
UNREACHABLE_FOR = 60.0
"""Seconds after which an actor that does not answer is given up."""


class ActorDiedError(Exception):
    """The process of an actor has ended."""


class ActorUnreachableError(Exception):
    """An actor does not answer; whether it has died is not known yet."""


@runtime_checkable
class Cluster(Protocol):
    """What the engine needs of Ray; ``ray_connection.ConnectedCluster`` is the real one."""

    def start(self, module: str, setup: WorkerSetup) -> Handle:
        """Start an actor ``RayWorker(module, setup)`` as soon as there is room."""
        ...

    def call(self, handle: Handle, method: str, *arguments: Any) -> Reference:
        """Call a method of an actor."""
        ...

    def wait(self, references: Sequence[Reference], timeout: float) -> Collection[Reference]:
        """Return the calls that have ended; wait for ``timeout`` seconds at most for the first."""
        ...

    def result(self, reference: Reference) -> Any:
        """Return the result of a call that has ended.

        Raises:
            ActorDiedError: the process of the actor has ended.
            ActorUnreachableError: the connection is lost.
            Exception: the method has raised it.
        """
        ...

    def kill(self, handle: Handle) -> None:
        """End an actor at once."""
        ...

    def is_alive(self, node: str) -> bool:
        """Return whether a node works."""
        ...

    def draining(self) -> Collection[str]:
        """Return the ids of the nodes that are about to leave the cluster."""
        ...

    def close(self) -> None:
        """Leave the cluster."""
        ...


@dataclass
class _Actor:
    handle: Handle
    slot: int
    calls: dict[Reference, Role] = field(default_factory=dict)
    placement: Placement | None = None
    job_id: str = ""
    """The video at work; empty if there is none."""
    has_begun: bool = False
    is_leaving: bool = False
    leftover: list[WorkerEvent] | None = None
    """Events that ``run`` has returned; None while it runs."""
    unreachable_since: float | None = None


class RayEngine:
    """Runs workers as actors of a Ray cluster; an ``Engine``."""

    def __init__(
        self,
        setup: WorkerSetup,
        cluster: Cluster,
        *,
        module: str = WORKER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the workers; none is started.

        Args:
            setup: what all workers need to know; number, slot and name are filled in.
            cluster: the cluster; ``close`` leaves it.
            module: module whose ``main(line, setup)`` runs in the actors.
            clock: returns the time in seconds.
        """
        self._setup = setup
        self._cluster = cluster
        self._module = module
        self._clock = clock
        self._actors: dict[WorkerId, _Actor] = {}
        self._numbers = count(1)
        self._looked = 0.0

    def start_worker(self) -> WorkerId:
        worker = next(self._numbers)
        used = {actor.slot for actor in self._actors.values()}
        slot = next(slot for slot in count() if slot not in used)
        setup = replace(self._setup, worker=worker, slot=slot, name=f"{self._setup.name}-{slot}")
        actor = _Actor(self._cluster.start(self._module, setup), slot)
        self._actors[worker] = actor
        self._call(actor, "locate", "locate")
        return worker

    def give(self, worker: WorkerId, work: Assignment) -> None:
        if (actor := self._actors.get(worker)) is not None:
            actor.job_id, actor.has_begun = work.job.id, False
            self._cluster.call(actor.handle, "give", work)

    def ask_to_stop(self, worker: WorkerId) -> None:
        if (actor := self._actors.get(worker)) is not None:
            self._cluster.call(actor.handle, "stop")

    def kill(self, worker: WorkerId) -> None:
        if (actor := self._actors.get(worker)) is not None:
            self._cluster.kill(actor.handle)

    def events(self, timeout: float) -> Iterator[WorkerEvent]:
        pending = {r: worker for worker, actor in self._actors.items() for r in actor.calls}
        if not pending:
            time.sleep(timeout)
        elif ended := self._cluster.wait(list(pending), timeout):
            for reference in ended:
                yield from self._take(pending[reference], reference)
        if self._clock() - self._looked >= LOOK_EVERY:
            self._looked = self._clock()
            yield from self._look()

    def close(self) -> None:
        deadline = time.monotonic() + PATIENCE
        for worker, actor in self._actors.items():
            if actor.placement is None:  # it has no room and cannot answer
                self._cluster.kill(actor.handle)
            else:
                self.ask_to_stop(worker)
        running = [r for a in self._actors.values() for r, role in a.calls.items() if role == "run"]
        while running and (left := deadline - time.monotonic()) > 0:
            ended = set(self._cluster.wait(running, left))
            running = [reference for reference in running if reference not in ended]
        for actor in self._actors.values():
            self._cluster.kill(actor.handle)
        self._actors.clear()
        self._cluster.close()

    def _call(self, actor: _Actor, role: Role, method: str, *arguments: Any) -> None:
        actor.calls[self._cluster.call(actor.handle, method, *arguments)] = role

    def _take(self, worker: WorkerId, reference: Reference) -> Iterator[WorkerEvent]:
        """Handle a call that has ended."""
        actor = self._actors.get(worker)
        if actor is None or reference not in actor.calls:  # an event before has removed it
            return
        role = actor.calls.pop(reference)
        try:
            result = self._cluster.result(reference)
        except ActorUnreachableError:
            actor.unreachable_since = actor.unreachable_since or self._clock()
        except ActorDiedError as error:
            yield from self._died(worker, str(error))
        except Exception as error:  # of the worker's own code, before it is ready
            self._cluster.kill(actor.handle)
            yield from self._died(worker, f"{type(error).__name__}: {error}")
        else:
            yield from self._answered(worker, actor, role, result)

    def _answered(
        self, worker: WorkerId, actor: _Actor, role: Role, result: Any
    ) -> Iterator[WorkerEvent]:
        if role == "locate":
            actor.placement = result
            if (sentence := _mismatch(result)) is not None:
                yield WorkerUnable(worker, sentence, 2)
                return
            self._call(actor, "run", "run")
            self._call(actor, "poll", "events", LONGEST_WAIT)
        elif role == "run":
            actor.leftover = result
        elif role == "poll":
            yield from self._noting(actor, result)
            if actor.leftover is None:
                self._call(actor, "poll", "events", LONGEST_WAIT)
        elif actor.unreachable_since is not None:  # its results are lost, although it lives
            self._cluster.kill(actor.handle)
            del self._actors[worker]
            yield WorkerLost(worker, "machine", "the connection was lost")
            return
        if actor.leftover is not None and "poll" not in actor.calls.values():
            yield from self._noting(actor, actor.leftover)
            self._cluster.kill(actor.handle)
            del self._actors[worker]
            yield WorkerLost(worker, "nobody", "ended")

    def _noting(self, actor: _Actor, events: list[WorkerEvent]) -> Iterator[WorkerEvent]:
        for event in events:
            if isinstance(event, VideoBegan):
                actor.has_begun = True
            elif isinstance(event, VideoEnded):
                actor.job_id = ""
            yield event

    def _died(self, worker: WorkerId, note: str) -> Iterator[WorkerEvent]:
        actor = self._actors.pop(worker)
        if actor.placement is not None and not self._cluster.is_alive(actor.placement.node):
            yield WorkerLost(worker, "machine", f"the node {actor.placement.machine} died")
            return
        if actor.job_id and not actor.has_begun:  # the message can be lost with the process
            yield VideoBegan(worker, actor.job_id)
        yield WorkerLost(worker, "video", note)

    def _look(self) -> Iterator[WorkerEvent]:
        """Look for nodes that leave, and for actors that have no room or do not answer."""
        draining = self._cluster.draining()
        for worker, actor in list(self._actors.items()):
            if actor.placement is None:
                yield WorkerPending(worker)
            elif actor.unreachable_since is not None:
                yield from self._look_after(worker, actor, actor.unreachable_since)
            elif actor.placement.node in draining and not actor.is_leaving:
                actor.is_leaving = True
                self.ask_to_stop(worker)
                yield WorkerLeaving(worker)

    def _look_after(self, worker: WorkerId, actor: _Actor, since: float) -> Iterator[WorkerEvent]:
        placement = actor.placement
        is_gone = placement is not None and not self._cluster.is_alive(placement.node)
        if is_gone or self._clock() - since > UNREACHABLE_FOR:
            self._cluster.kill(actor.handle)
            del self._actors[worker]
            machine = "" if placement is None else f" {placement.machine}"
            why = f"the node{machine} died" if is_gone else f"the node{machine} does not answer"
            yield WorkerLost(worker, "machine", why)
        elif "probe" not in actor.calls.values():
            self._call(actor, "probe", "locate")


def _mismatch(placement: Placement) -> str | None:
    """Say which version of a worker differs from that of the dispatcher; None if none does."""
    for (name, theirs), (_, ours) in zip(placement.versions, installed_versions(), strict=True):
        if theirs != ours:
            return (
                f"{placement.machine} has {name} {theirs}, but the dispatcher has {ours}; install "
                "the same versions everywhere"
            )
    return None
