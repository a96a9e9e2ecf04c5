"""Two CPU processes under torchrun, against one process and against a run without a break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
import torch

from fixtures.pretended_cuda import PretendedCuda
from maskcast.core.errors import TrainingError, UsageError
from maskcast.core.training import LoopConfig
from maskcast.training.gather import gather_for_loss
from maskcast.training.items import make_plan
from maskcast.training.processes import make_scaler, start_processes, to_device
from training.toy_task import TOY, losses_of, train_losses, with_loop
from training.two_processes import (
    DROPOUT,
    IN_PARTS,
    OVER_BATCH,
    TROUBLED,
    batch_loss,
    lovasz_over,
    toy_train,
)


def under_torchrun(job: str, folder: Path) -> int:
    script = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(script), job, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    print(done.stdout, done.stderr)
    return done.returncode


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    assert under_torchrun("quick", folder) == 0
    return folder


def test_a_loss_over_the_batch_is_gathered_with_its_gradient(two: Path):
    weight = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
    items = torch.tensor([[1, 2], [3, -1], [0, 1], [-2, 2], [4, 1]], dtype=torch.float64)
    loss = batch_loss(gather_for_loss(items @ weight))  # one process: nothing to gather
    loss.backward()
    found = json.loads((two / "gather.json").read_text())
    assert found["gathered"] == (items @ weight).tolist()
    assert found["loss"] == loss.item()
    torch.testing.assert_close(torch.tensor(found["gradient"], dtype=torch.float64), weight.grad)


def test_lovasz_over_a_batch_in_two_processes_is_that_of_one(two: Path):
    loss, weight = lovasz_over(slice(0, 3), None)
    loss.backward()
    found = json.loads((two / "lovasz.json").read_text())
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(torch.tensor(found["gradient"]), weight.grad)
    alone = [lovasz_over(slice(*ends), None)[0].item() for ends in ((0, 2), (2, 3))]
    assert abs(sum(alone) / 2 - loss.item()) > 1e-3  # no mean over processes


def test_a_broken_run_of_two_goes_on_as_if_nothing_had_happened(two: Path):
    """With dropout, so that the generators of both processes matter."""
    assert losses_of(two / "broken") == losses_of(two / "unbroken")


@pytest.mark.parametrize(
    ("name", "config"),
    [("batch", OVER_BATCH), ("parts", with_loop(accumulate=2)), ("unused", TOY.config)],
)
def test_two_processes_learn_what_one_learns(two: Path, tmp_path: Path, name: str, config):
    toy_train(tmp_path, config)
    for value in ("total", "gradient_norm"):
        one, other = (
            torch.tensor(train_losses(folder, value)) for folder in (tmp_path, two / name)
        )
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)


def test_trouble_in_one_process_is_seen_by_both(two: Path, tmp_path: Path):
    toy_train(tmp_path, TROUBLED)
    kinds = ("bad_step", "broken_item")
    one, other = (
        [line for line in losses_of(folder) if line["kind"] in kinds]
        for folder in (tmp_path, two / "trouble")
    )
    assert [line["kind"] for line in other] == ["bad_step", "broken_item"] * 3
    for mine, theirs in zip(one, other, strict=True):
        assert {**mine, "losses": None} == {**theirs, "losses": None}


def test_nan_in_one_process_ends_both_after_so_many_steps(two: Path):
    ends = [(two / f"ended-{rank}.txt").read_text() for rank in (0, 1)]
    assert ends[0] == ends[1]
    assert ends[0].startswith("loss or gradient not finite in 3 steps in a row")


def test_a_parameter_without_gradient_has_to_be_told_of(two: Path):
    ends = [(two / f"untold-{rank}.txt").read_text() for rank in (0, 1)]
    assert ends[0] == ends[1] and "set unused_parameters to True" in ends[0]


def test_processes_share_the_parts_of_a_validation(two: Path, tmp_path: Path):
    toy_train(tmp_path, TOY.config, IN_PARTS)
    one, other = (
        [line for line in losses_of(folder) if line["kind"] == "validation"]
        for folder in (tmp_path, two / "validation")
    )
    assert [line.pop("rank") for line in one] == [0, 0, 0]
    # the second process has the second of the three parts
    assert [line.pop("rank") for line in other] == pytest.approx([1 / 3] * 3)
    assert [line.pop("squares") for line in other] == pytest.approx([(0 + 1 + 4) / 3] * 3)
    scores = [[line.pop("score") for line in lines] for lines in (one, other)]
    assert scores[1] == pytest.approx(scores[0], rel=1e-5)
    assert other == [{k: v for k, v in line.items() if k != "squares"} for line in one]


def test_the_card_counts_the_processes(two: Path):
    assert json.loads((two / "unbroken" / "card.json").read_text())["processes"] == 2


def test_a_run_of_two_can_go_on_with_one(two: Path, caplog):
    (two / "unbroken" / "checkpoints" / "step-000000012.pt").unlink()
    toy_train(two / "unbroken", DROPOUT)
    assert "number of processes changed from 2 to 1" in caplog.text
    assert len(train_losses(two / "unbroken")) == 12


@pytest.mark.slow
def test_two_processes_of_which_one_was_killed_go_on(two: Path, tmp_path: Path):
    assert under_torchrun("die", tmp_path) != 0
    assert len(train_losses(tmp_path / "broken")) == 5
    assert under_torchrun("go_on", tmp_path) == 0
    assert losses_of(tmp_path / "broken") == losses_of(two / "broken")


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path):
    with pytest.raises(TrainingError, match=r"must be a multiple of 6 .3 processes"):
        make_plan(with_loop(accumulate=2).loop, None, rank=0, processes=3)


@pytest.fixture
def two_cards():
    """A machine with two cards, which are pretended; gives what is asked of ``set_device``."""
    with PretendedCuda(cards=2), mock.patch("torch.cuda.set_device") as chosen:
        yield chosen


@pytest.fixture
def second_of_two(monkeypatch):
    """The environment that torchrun gives the second of two processes, which connect nowhere."""
    names = {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0}
    names |= {"MASTER_ADDR": "localhost", "MASTER_PORT": 29500, "TORCHELASTIC_RUN_ID": "none"}
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("lightning.fabric.Fabric.launch", lambda fabric: None)


@pytest.mark.parametrize(
    ("name", "index"), [("auto", 0), ("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)]
)
def test_one_process_takes_the_card_it_is_given(name: str, index: int, two_cards):
    config = LoopConfig(precision="fp16")
    scaler = make_scaler(config, name)
    fabric = start_processes(config, name, scaler)
    two_cards.assert_called_once_with(torch.device("cuda", index))
    assert fabric.device == torch.device("cuda", index)
    assert fabric.to_device(torch.ones(1)).device.type == "cuda"
    assert scaler is not None and scaler.state_dict()["scale"] == 2.0**16


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_one_process_leaves_the_cards_alone(name: str, two_cards):
    assert start_processes(LoopConfig(), name, None).device == torch.device("cpu")
    two_cards.assert_not_called()


@pytest.mark.parametrize(
    ("device", "backend", "own"), [("cuda", "nccl", "cuda:1"), ("cpu", "gloo", "cpu")]
)
def test_processes_talk_by_nccl_on_cards_and_by_gloo_without(
    device: str, backend: str, own: str, two_cards, second_of_two
):
    fabric = start_processes(LoopConfig(), device, None)
    assert fabric.strategy.process_group_backend == backend
    assert fabric.device == torch.device(own)
    assert (fabric.global_rank, fabric.world_size) == (1, 2)


def test_several_processes_cannot_have_one_card(two_cards, second_of_two):
    with pytest.raises(UsageError, match=r"cuda:1 is a single GPU, but there are 2.*VISIBLE"):
        start_processes(LoopConfig(), "cuda:1", None)


def test_a_card_that_is_not_there_is_refused(two_cards):
    with pytest.raises(UsageError, match="the last one is cuda:1"):
        start_processes(LoopConfig(), "cuda:2", None)


class Boxes(NamedTuple):
    corners: torch.Tensor
    names: list[str]


def test_a_batch_of_any_build_is_moved():
    batch = {"a": [torch.ones(2), (torch.zeros(1), "text")], "b": Boxes(torch.ones(1), ["x"])}
    moved = to_device(batch, torch.device("meta"))
    assert moved["a"][0].is_meta and moved["a"][1][0].is_meta and moved["b"].corners.is_meta
    assert moved["a"][1][1] == "text" and moved["b"].names == ["x"]
    assert not batch["a"][0].is_meta
