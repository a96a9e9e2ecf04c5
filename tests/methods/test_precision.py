"""What ``auto`` means: by device, by processor and by weights."""

import pytest
import torch

from contract.coloured_video import frames, true_mask
from maskcast.core.device import has_bfloat16
from maskcast.core.errors import UsageError
from maskcast.io.weights.names import SHIPPED
from maskcast.methods import precision
from maskcast.methods.catalogue import METHODS
from maskcast.methods.precision import dtype_of, shared_dtype
from maskcast.methods.spec import SegmenterSpec, load_segmenter


@pytest.fixture(params=[True, False], ids=["native", "not native"])
def native(request, monkeypatch) -> bool:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: request.param)
    return request.param


def test_small_weights_of_the_package_use_it_where_it_is_native(native):
    expected = "bfloat16" if native else "float32"
    for weights, method in ((None, None), (None, "lwl"), ("lwl-small", None), ("lwl-small", "lwl")):
        assert dtype_of(weights, "auto", method=method, device="cpu") == expected


@pytest.mark.parametrize(
    "weights", ["lwl-small-0.1", "lwl-ytvos", "./lwl-small", "a/b.safetensors"]
)
def test_all_other_weights_use_float32(weights, native):
    assert dtype_of(weights, "auto", device="cpu") == "float32"


@pytest.mark.parametrize("method", ["agame", "eosvos", "unknown"])
def test_default_weights_of_other_methods_use_float32(method, native):
    assert dtype_of(None, "auto", method=method, device="cpu") == "float32"


def test_a_data_type_stays_as_it_was_given(native):
    for dtype in ("float32", "bfloat16", "float16"):
        assert dtype_of("lwl-small", dtype, device="cpu") == dtype
    assert dtype_of("lwl-small", "small-bfloat16", device="cpu") == "bfloat16"
    assert dtype_of("lwl-ytvos", "small-bfloat16", device="cpu") == "float32"


def test_a_gpu_uses_float32(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    monkeypatch.setattr(precision, "choose_device", torch.device)
    assert shared_dtype("cpu") == "small-bfloat16"
    assert shared_dtype("cuda:1") == shared_dtype("mps") == "float32"


def test_an_unknown_device_is_named():
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        dtype_of("lwl-small", "auto", device="gpu")


def test_a_torch_that_cannot_say_has_no_bfloat16(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert not has_bfloat16(torch.device("cpu"))


def test_the_names_are_those_of_weights_in_the_package():
    for method in METHODS.values():
        for name in method.bfloat16_weights:
            assert (SHIPPED / f"{name}.safetensors").is_file()


def test_python_uses_float32_unless_it_asks(native):
    video, prompts = frames(2, (1,)), {1: true_mask(1, 0)}

    def probs(**how):
        segmenter = load_segmenter("lwl-small", device="cpu", **how)
        state, _ = segmenter.step(segmenter.start(), video[0], prompts)
        return segmenter.step(state, video[1])[1].probs

    exact, rounded = probs(), probs(dtype="bfloat16")
    assert not exact.equal(rounded)
    assert probs(dtype="float32").equal(exact)
    assert probs(dtype="auto").equal(rounded if native else exact)
    assert SegmenterSpec(weights="lwl-small").dtype == "float32"
