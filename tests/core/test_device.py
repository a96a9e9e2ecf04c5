"""Devices and dtypes by name."""

from __future__ import annotations

import inspect
import os

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import TritonMissing

from maskcast.core.device import (
    choose_device,
    chosen_dtype,
    compiled,
    dtype_named,
    make_deterministic,
    make_float32_exact,
    name_of,
    set_threads,
)
from maskcast.core.errors import UsageError


def test_auto_takes_what_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


def test_a_certain_card_is_taken_if_it_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert name_of(choose_device("cuda:1")) == "card 1"
    assert name_of(choose_device("cpu")) == "cpu"
    with pytest.raises(UsageError, match="device 'cuda:2' does not exist; the last one is cuda:1"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "meta", "gpu", ""])
def test_what_is_not_here_is_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match="device"):
        choose_device(name)


def test_dtypes_have_torch_names():
    for name in ("float32", "bfloat16", "float16"):
        assert str(dtype_named(name)) == f"torch.{name}"


def test_deterministic_kernels_are_asked_for(monkeypatch):
    asked = []
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back afterwards
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    make_deterministic()
    assert asked == [True]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_float32_is_not_rounded_to_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    make_float32_exact()
    assert not torch.backends.cudnn.allow_tf32


def test_triton_that_is_missing_is_named_in_a_sentence(monkeypatch):
    def run(x):
        raise TritonMissing(None)

    monkeypatch.setattr(torch, "compile", lambda module: run)
    with pytest.raises(UsageError, match=r"working triton installation.* on a GPU Triton"):
        compiled(torch.nn.Identity())(torch.zeros(1))


def test_a_compiler_that_is_missing_is_named_in_a_sentence(monkeypatch):
    def compile_without_compiler(module):
        def run(x):
            raise BackendCompilerFailed(
                compile_without_compiler, RuntimeError("No working C++ compiler found\ng++"), None
            )

        return run

    monkeypatch.setattr(torch, "compile", compile_without_compiler)
    with pytest.raises(UsageError, match=r"\(No working C\+\+ compiler found\); .* speed.compile"):
        compiled(torch.nn.Identity())(torch.zeros(1))


def test_dtypes_have_names_and_others_are_refused():
    assert chosen_dtype("float16") == chosen_dtype(torch.float16) == torch.float16
    for wrong in ("float64", torch.float64, torch.int8, "", None):
        with pytest.raises(UsageError, match="dtype must be float32 or bfloat16 or float16, got"):
            inspect.unwrap(chosen_dtype)(wrong)


@pytest.mark.parametrize("count", [0, -1, 1025, 2**31])
def test_threads_are_limited_before_torch_crashes(count):
    with pytest.raises(UsageError, match=r"threads must be in \[1, 1024\], got"):
        set_threads(count)
