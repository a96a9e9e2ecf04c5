"""A Ray cluster without Ray: actors are objects of this process, and calls run in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from maskcast.batch.ray_cluster import ActorDiedError, ActorUnreachableError
from maskcast.batch.ray_worker import RayWorker
from maskcast.batch.worker_line import WorkerSetup


class Call:
    """A call of a method; ``result`` is None until it has ended."""

    def __init__(self) -> None:
        self.has_ended = threading.Event()
        self.value: Any = None
        self.error: Exception | None = None


class PretendedActor:
    """An actor on a node of the cluster."""

    def __init__(self, worker: RayWorker, setup: WorkerSetup, node: str) -> None:
        self.worker, self.setup, self.node = worker, setup, node
        self.calls: list[Call] = []
        self.dead: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Let all calls fail from now on, and those that run."""
        self.dead = error
        self.worker.stop()  # a thread cannot be killed
        for call in self.calls:
            if not call.has_ended.is_set():
                call.error = error
                call.has_ended.set()


class PretendedCluster:
    """Nodes with room for one actor each."""

    def __init__(self, *nodes: str) -> None:
        self.nodes = dict.fromkeys(nodes, True)
        self.leaving: set[str] = set()
        self.actors: list[PretendedActor] = []
        self.versions: tuple[tuple[str, str], ...] | None = None
        self.is_closed = False

    def start(self, module: str, setup: WorkerSetup) -> PretendedActor:
        used = {actor.node for actor in self.actors if actor.dead is None}
        free = [n for n in self.nodes if self.nodes[n] and n not in used | self.leaving]
        node = free[0] if free else ""
        actor = PretendedActor(RayWorker(module, setup, node or "none"), setup, node)
        self.actors.append(actor)
        return actor

    def call(self, actor: PretendedActor, method: str, *arguments: Any) -> Call:
        call = Call()
        actor.calls.append(call)
        if actor.dead is not None:
            call.error = actor.dead
            call.has_ended.set()
        elif actor.node:
            function = getattr(actor.worker, method)
            threading.Thread(
                target=self._run, args=(call, function, arguments), daemon=True
            ).start()
        return call

    def _run(self, call: Call, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        value, error = None, None
        try:
            value = function(*arguments)
            if self.versions is not None and hasattr(value, "versions"):
                value = replace(value, versions=self.versions)
        except Exception as caught:
            error = caught
        if not call.has_ended.is_set():
            call.value, call.error = value, error
            call.has_ended.set()

    def wait(self, calls: Sequence[Call], timeout: float) -> Collection[Call]:
        deadline = time.monotonic() + timeout
        while True:
            ended = [call for call in calls if call.has_ended.is_set()]
            if ended or time.monotonic() > deadline:
                return ended
            time.sleep(0.005)

    def result(self, call: Call) -> Any:
        if call.error is not None:
            raise call.error
        return call.value

    def kill(self, actor: PretendedActor) -> None:
        actor.fail(ActorDiedError("The actor was killed"))

    def lose_node(self, node: str) -> None:
        """Let a node and its actors vanish: first nobody answers, then it is known to be dead."""
        for actor in self.actors:
            if actor.node == node:
                actor.fail(ActorUnreachableError("the connection is lost"))
        self.nodes[node] = False

    def is_alive(self, node: str) -> bool:
        return self.nodes[node]

    def draining(self) -> Collection[str]:
        return self.leaving

    def close(self) -> None:
        self.is_closed = True
