"""Every method on a card: on one that is pretended, and with MASKCAST_TEST_CARD=1 on a real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import pytest
import torch

from contract.coloured_video import frames, true_mask
from fixtures.pretended_cuda import CUDA, PretendedCuda, WrongDeviceError
from maskcast.core.config import with_options
from maskcast.core.segmenter import VideoSegmenter
from maskcast.core.state import load_state, save_state
from maskcast.core.types import Box, ObjectMasks
from maskcast.methods.catalogue import METHODS

SIZE = (49, 66)
CPU = torch.device("cpu")


@pytest.fixture
def cuda() -> Iterator[PretendedCuda]:
    with PretendedCuda() as card:
        yield card


def build_tiny(method: str, device: torch.device) -> VideoSegmenter[Any]:
    chosen = METHODS[method]
    return chosen.build(chosen.tiny(), None, device=device, dtype=torch.float32, progress=None)


def assert_same_on(device: torch.device, expected: ObjectMasks, found: ObjectMasks) -> None:
    assert found.ids == expected.ids
    assert found.probs.device == found.label_map().device == device
    torch.testing.assert_close(found.probs.cpu(), expected.probs, rtol=0, atol=1e-4)


def test_a_slip_is_seen(cuda):
    there, here = torch.ones(3, device="cuda"), torch.ones(3)
    for slip in (
        lambda: there + here,
        lambda: torch.cat([there, here]),
        lambda: there.index_select(0, torch.arange(3)),
        lambda: torch.nn.Linear(3, 1)(there),
        there.numpy,
        there.double,
    ):
        with pytest.raises(WrongDeviceError):
            slip()


def test_what_is_right_on_a_card_passes(cuda):
    there = torch.ones(3, device="cuda")
    assert (2 * there[torch.tensor([0, 2])] + torch.tensor(1.0)).tolist() == [3, 3]
    assert there.cpu().numpy().sum() == 3
    assert torch.ones(3).to(there).device == there.new_tensor([1.0]).device == CUDA
    layer = torch.nn.Linear(3, 1).to("cuda")
    layer(there).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_finds_on_a_card_what_it_finds_on_the_cpu(method, tmp_path):
    video = frames(2, (1, 2), size=SIZE)
    prompts = {1: true_mask(1, 0, SIZE)}
    if METHODS[method].takes_boxes(METHODS[method].tiny()):
        prompts[7] = Box(2.0, 20.0, 9.0, 8.0)
    here = build_tiny(method, CPU)
    state, first = here.step(here.start(), video[0], prompts)
    _, second = here.step(state, video[1])
    path = tmp_path / "state.safetensors"
    with PretendedCuda() as card:
        there = build_tiny(method, torch.device("cuda"))
        state, found = there.step(there.start(), video[0], prompts)
        assert_same_on(CUDA, first, found)
        _, found = there.step(state, video[1])
        assert_same_on(CUDA, second, found)
        save_state(state, path)
        loaded = load_state(path, type(there.start()), device=torch.device("cuda"))
        _, again = there.step(loaded, video[1])
        assert again.probs.equal(found.probs)
        _, left = there.step(there.remove_objects(state, [7]), video[1])
        assert left.ids == (1,)
    _, found = here.step(load_state(path, type(here.start()), device=CPU), video[1])
    assert_same_on(CPU, second, found)
    calls = card.generator_calls
    assert calls["manual_seed_all"] == 0
    assert calls["get_rng_state"] == calls["manual_seed"] == calls["set_rng_state"]


@pytest.mark.parametrize("method", METHODS)
def test_in_half_precision_a_method_stays_on_the_card(method, cuda):
    chosen = METHODS[method]
    segmenter = chosen.build(chosen.tiny(), None, device=CUDA, dtype=torch.bfloat16)
    video = frames(2, (1,), size=SIZE)
    state, _ = segmenter.step(segmenter.start(), video[0], {1: true_mask(1, 0, SIZE)})
    _, found = segmenter.step(state, video[1])
    assert found.probs.device == CUDA
    assert found.probs.dtype == torch.float32
    assert found.probs.isfinite().all()


def test_deterministic_fine_tuning_needs_no_compiler(monkeypatch):
    def compiled(*_):
        raise AssertionError("torchvision's RoIAlign was to be compiled")

    chosen = METHODS["eosvos"]
    video = frames(2, (1,), size=SIZE)
    found = []
    module = import_module("torchvision.ops.roi_align")  # the package has a function of that name
    monkeypatch.setattr(module, "_roi_align", compiled)
    monkeypatch.setattr(module, "is_compile_supported", lambda device: True)
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        try:
            with PretendedCuda():
                segmenter = chosen.build(chosen.tiny(), None, device=CUDA)
                state, _ = segmenter.step(segmenter.start(), video[0], {1: true_mask(1, 0, SIZE)})
                found.append(segmenter.step(state, video[1])[1].probs.cpu())
        finally:
            torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(*found, rtol=0, atol=1e-4)


REAL_CARD = pytest.param(
    torch.device("cuda"),
    marks=pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no card, or MASKCAST_TEST_CARD=1 is not set"
    ),
)


@pytest.mark.parametrize("device", [CPU, REAL_CARD], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_deterministic_runs_repeat_to_the_bit(method, device, tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    video = frames(2, (1,), size=SIZE)
    segmenter = build_tiny(method, device)
    torch.use_deterministic_algorithms(True)
    try:
        found = []
        for number in range(2):
            path = tmp_path / f"{number}.safetensors"
            state, _ = segmenter.step(segmenter.start(), video[0], {1: true_mask(1, 0, SIZE)})
            save_state(state, path)
            loaded = load_state(path, type(state), device=device)
            found += [segmenter.step(known, video[1])[1].probs for known in (state, loaded)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(probs.device.type == device.type and probs.equal(found[0]) for probs in found)


def found_with(options: dict[str, str], device: torch.device) -> list[ObjectMasks]:
    chosen = METHODS["lwl"]
    segmenter = chosen.build(with_options(chosen.tiny(), options), None, device=device)
    video = frames(4, (1, 2), size=SIZE)
    state, first = segmenter.step(segmenter.start(), video[0], {1: true_mask(1, 0, SIZE)})
    state, second = segmenter.step(state, video[1], {2: true_mask(2, 1, SIZE)})
    found = [first, second]
    for frame in video[2:]:
        state, masks = segmenter.step(state, frame)
        found.append(masks)
    return found


@pytest.mark.parametrize("device", [CUDA, REAL_CARD], ids=["pretended", "real"])
def test_graphs_change_no_bit(device, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    is_real = torch.cuda.is_available()
    torch.use_deterministic_algorithms(True)
    try:
        with nullcontext() if is_real else PretendedCuda() as card:
            plain, graphs = (
                found_with({"cuda_graphs": text}, device) for text in ("false", "true")
            )
            for one, other in zip(plain, graphs, strict=True):
                assert other.probs.device.type == "cuda"
                assert one.probs.equal(other.probs)
        # trunk and target features for 1 and 2 crops; the decoder for as many
        assert is_real or card.graphs == 6
    finally:
        torch.use_deterministic_algorithms(False)
