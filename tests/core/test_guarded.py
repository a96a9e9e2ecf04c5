"""A segmenter in programs that use threads, fork, and set defaults of torch for themselves."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from contract.coloured_video import frames, true_mask
from contract.stand_in import ColourConfig, ColourTracker
from maskcast.core.errors import FrameError, MaskShapeError, PromptError, UsageError
from maskcast.core.guarded import GuardedSegmenter
from maskcast.core.segmenter import VideoSegmenter, segment_video
from maskcast.methods.spec import build

TINY = {"network.trunk": "resnet18"}
PROMPTS = {0: {1: true_mask(1, 0)}, 2: {2: true_mask(2, 2)}}


def guarded() -> GuardedSegmenter[Any]:
    return GuardedSegmenter(ColourTracker(ColourConfig(), torch.zeros(())), "cpu")


VIDEO = frames(4)


def probs_of(segmenter: VideoSegmenter[Any], video: Sequence[Tensor] = VIDEO) -> list[Tensor]:
    return [masks.probs for masks in segment_video(segmenter, video, PROMPTS)]


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SURROUNDINGS = {
    "dtype": default_dtype,
    "device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
}


@pytest.mark.parametrize("method", ["lwl", "agame", "eosvos"])
def test_what_a_program_sets_for_itself_changes_no_bit(method):
    from maskcast.methods.catalogue import METHODS  # noqa: PLC0415

    def built() -> GuardedSegmenter[Any]:
        chosen = METHODS[method]
        tiny = chosen.build(
            chosen.tiny(), None, device=torch.device("cpu"), dtype=torch.float32, progress=None
        )
        return GuardedSegmenter(tiny, "cpu")

    segmenter = built()
    expected = probs_of(segmenter, VIDEO[:3])
    for name, surroundings in SURROUNDINGS.items():
        with surroundings():
            found = probs_of(segmenter, VIDEO[:3])
        assert all(map(torch.equal, expected, found)), name
    found = probs_of(segmenter, [frame.double() for frame in VIDEO[:3]])
    assert all(map(torch.equal, expected, found)), "frames in double precision"


@pytest.mark.parametrize("surroundings", ["dtype", "device", "inference mode"])
def test_what_holds_while_a_segmenter_is_built_changes_no_bit(surroundings):
    expected = build(None, method="lwl", options=TINY)
    with SURROUNDINGS[surroundings]():
        segmenter = build(None, method="lwl", options=TINY)
        assert torch.get_default_dtype() == (
            torch.float64 if surroundings == "dtype" else torch.float32
        )
    network, other = expected.method.method.network, segmenter.method.method.network
    for (name, one), (_, two) in zip(
        network.state_dict().items(), other.state_dict().items(), strict=True
    ):
        assert one.dtype == two.dtype and one.equal(two), name


def test_threads_take_turns():
    class Slow(ColourTracker):
        inside = 0

        def step(self, state, frame, prompts):
            Slow.inside += 1
            assert Slow.inside == 1, "two threads are inside"
            threading.Event().wait(0.002)
            found = super().step(state, frame, prompts)
            Slow.inside -= 1
            return found

    segmenter = GuardedSegmenter(Slow(ColourConfig(), torch.zeros(())), "cpu")
    expected = probs_of(guarded())
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(probs_of, [segmenter] * 4):
            assert all(map(torch.equal, expected, found))


def test_the_default_dtype_returns_when_the_last_thread_has_left():
    with default_dtype():
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(probs_of, [guarded() for _ in range(8)]))
        assert torch.get_default_dtype() == torch.float64


def test_what_is_passed_to_a_step_is_checked():
    segmenter = guarded()
    state = segmenter.start()
    (frame,) = frames(1)
    step = inspect.unwrap(GuardedSegmenter.step)  # without the checks of types in this test suite
    for wrong_state in (None, {}, frame):
        with pytest.raises(UsageError, match=r"^state is a .* pass what start\(\) or the previous"):
            step(segmenter, wrong_state, frame, {})
        with pytest.raises(UsageError, match=r"^state is a "):
            inspect.unwrap(GuardedSegmenter.remove_objects)(segmenter, wrong_state, [1])
    with pytest.raises(FrameError, match=r"the frame is a Tensor of torch\.uint8"):
        step(segmenter, state, (frame * 255).byte(), {})
    with pytest.raises(PromptError, match="the prompts of the frame are a Tensor"):
        step(segmenter, state, frame, true_mask(1, 0))
    with pytest.raises(PromptError, match="got '1' on the frame"):
        step(segmenter, state, frame, {"1": true_mask(1, 0)})
    with pytest.raises(MaskShapeError, match="the mask of object 1 on the frame is 3×3"):
        step(segmenter, state, frame, {1: torch.ones(3, 3, dtype=torch.bool)})
    for wrong, message in (
        (frame * 255, r"must be in \[0, 1\]; divide 8-bit"),
        (frame * float("nan"), "not a number"),
        (frame - 2, "undo the normalisation"),
    ):
        with pytest.raises(FrameError, match=message):
            step(segmenter, state, wrong, {})
    assert segmenter.step(state, frame)[1].ids == ()


def test_attributes_are_those_of_the_method_and_copies_work():
    segmenter = guarded()
    assert segmenter.config == segmenter.method.config
    assert not hasattr(segmenter, "no_such_attribute")
    for other in (pickle.loads(pickle.dumps(segmenter)), copy.deepcopy(segmenter)):
        assert all(map(torch.equal, probs_of(segmenter), probs_of(other)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_is_told_instead_of_hanging(monkeypatch):
    segmenter = guarded()
    monkeypatch.setattr("maskcast.core.guarded._Process.number", None)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    probs_of(segmenter, VIDEO[:3])
    segmenter._lock.acquire()  # as if another thread were inside
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            segmenter.step(segmenter.start(), frames(1)[0])
            said = "nothing"
        except UsageError as error:
            said = str(error)
        os.write(writer, said.encode())
        os._exit(0)
    segmenter._lock.release()
    os.waitpid(child, 0)
    assert os.read(reader, 1000).decode().startswith("this process was forked from process")
