"""Weights into a task and out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maskcast.core.errors import WeightsError
from maskcast.io.weights.files import write_weights
from maskcast.io.weights.names import read_weights
from maskcast.training.weights import export, in_half, load_weights
from training.toy_task import TOY, ToyTask


def test_what_is_exported_can_be_started_from(tmp_path: Path):
    first, second = ToyTask(TOY.config), ToyTask(TOY.config)
    path = tmp_path / "toy.safetensors"
    export(first, path, {"step": 3})
    weights = read_weights(path)
    assert weights.method == "toy" and weights.config == {"width": 4}
    assert weights.card == {"note": "toy", "training": {"step": 3}}
    assert load_weights(second, str(path)) == weights.sha256
    for name, tensor in second.module.state_dict().items():
        assert torch.equal(tensor, first.module.state_dict()[name].half().float())


def test_half_precision_cuts_what_is_beyond_it_and_leaves_whole_numbers():
    found = in_half(torch.tensor([1e6, -1e6, 0.5]))
    assert found.dtype == torch.float16 and found.tolist() == [65504, -65504, 0.5]
    assert in_half(torch.tensor([70000])).tolist() == [70000]


def test_a_task_may_read_weights_itself(tmp_path: Path):
    class Reads(ToyTask):
        def start_from(self, tensors):
            self.read = tensors

    path = tmp_path / "other.safetensors"
    write_weights(path, method="x", config={}, tensors={"a": torch.ones(1).half()}, card={})
    task = Reads(TOY.config)
    load_weights(task, str(path))
    assert task.read["a"].dtype == torch.float32


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (
            {"9.weight": torch.ones(1)},
            r"1 tensors of other are not part of this network: 9\.weight",
        ),
        ({"0.bias": torch.ones(3)}, r"0\.bias has shape \(3,\) in other, expected \(4,\)"),
    ],
)
def test_weights_of_another_network_are_refused(tensors, sentence: str, tmp_path: Path):
    path = tmp_path / "other.safetensors"
    write_weights(path, method="toy", config={}, tensors=tensors, card={})
    with pytest.raises(WeightsError, match=sentence):
        load_weights(ToyTask(TOY.config), str(path))


def test_what_the_weights_lack_is_named(tmp_path: Path, caplog):
    path = tmp_path / "part.safetensors"
    write_weights(path, method="toy", config={}, tensors={"0.bias": torch.ones(4)}, card={})
    load_weights(ToyTask(TOY.config), str(path))
    assert (
        "part lacks 3 tensors, which keep their initial values: 0.weight, 3.weight, 3.bias"
        in caplog.text
    )
