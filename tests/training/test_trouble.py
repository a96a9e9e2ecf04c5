"""Broken items and losses that are not finite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskcast.core.errors import DeviceMemoryError, TrainingError
from maskcast.core.training import Recipe
from maskcast.io.weights.names import read_weights
from maskcast.training.loop import train
from training.toy_task import TOY, ToyTask, losses_of, train_losses, with_loop


def toy_train(folder: Path, config=TOY.config, recipe=TOY):
    return train("toy", recipe, folder, config=config, device="cpu")


def events(folder: Path, kind: str) -> list[dict]:
    return [line for line in losses_of(folder) if line["kind"] == kind]


def test_a_step_with_nan_changes_nothing_and_names_its_items(tmp_path: Path, caplog):
    """Item 5 is in the second step of each of the three epochs."""
    outcome = toy_train(tmp_path, replace(TOY.config, poison=(5,)))
    assert outcome.step == 12
    bad = events(tmp_path, "bad_step")
    assert [line["step"] for line in bad] == [2, 6, 10]
    names = [f"toy {item} (epoch 1 item {item})" for item in (4, 5, 6, 7)]
    assert bad[1]["items"] == names
    assert bad[1]["losses"]["total"] == "nan"
    assert "step 6 skipped" in caplog.text and "toy 5 (epoch 1 item 5)" in caplog.text
    tensors = read_weights(outcome.weights).tensors
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_nothing_is_learnt_from_a_bad_step(tmp_path: Path):
    """With one step per epoch, skipping it leaves the weights where they were."""
    config = with_loop(replace(TOY.config, poison=(0,)), iterations=1, epochs=1)
    bad = read_weights(toy_train(tmp_path / "bad", config).weights).tensors
    frozen = with_loop(iterations=1, epochs=1)
    frozen = replace(
        frozen,
        loop=replace(frozen.loop, optimiser=replace(frozen.loop.optimiser, rate_scale=0.0)),
    )
    still = read_weights(toy_train(tmp_path / "still", frozen).weights).tensors
    assert all(torch.equal(bad[name], still[name]) for name in still)


def test_a_bad_step_leaves_running_statistics_as_they_were(tmp_path: Path):
    """A forward pass in training mode has written them before anything is known of the loss."""

    class Normed(ToyTask):
        def __init__(self, config):
            super().__init__(config)
            self.module[2] = torch.nn.BatchNorm1d(config.width)  # for the dropout

    config = with_loop(replace(TOY.config, poison=(5,)), epochs=1, bad_steps_limit=2)
    outcome = toy_train(tmp_path, config, Recipe("", config, Normed))
    assert [line["step"] for line in events(tmp_path, "bad_step")] == [2]
    tensors = read_weights(outcome.weights).tensors
    assert tensors["2.running_mean"].isfinite().all()
    assert tensors["2.num_batches_tracked"] == 3


class InfiniteGradient(ToyTask):
    """A finite loss whose gradient is not: the root of nought."""

    def loss(self, batch):
        losses = super().loss(batch)
        nought = (self.module[0].weight - self.module[0].weight.detach()).square().sum().sqrt()
        return {"total": losses["total"] + nought}


def test_a_gradient_that_is_not_finite_counts_too(tmp_path: Path):
    recipe = Recipe("", TOY.config, InfiniteGradient)
    with pytest.raises(TrainingError, match="loss or gradient not finite in 4 steps in a row"):
        toy_train(tmp_path, with_loop(bad_steps_limit=4), recipe)
    assert [line["losses"]["gradient_norm"] for line in events(tmp_path, "bad_step")] == ["nan"] * 4


def test_many_bad_steps_in_a_row_name_the_last_good_checkpoint(tmp_path: Path):
    """Every item from 8 on is poisoned, so steps 3 and 4 of each epoch of four are bad."""
    config = with_loop(
        replace(TOY.config, poison=tuple(range(8, 16))), bad_steps_limit=2, checkpoint_minutes=0.0
    )
    with pytest.raises(TrainingError, match=r"2 steps in a row.*is .*step-000000003\.pt"):
        toy_train(tmp_path, config)


def test_good_steps_between_bad_ones_reset_the_count(tmp_path: Path):
    config = with_loop(replace(TOY.config, poison=(0, 8)), bad_steps_limit=2)
    assert toy_train(tmp_path, config).step == 12
    assert len(events(tmp_path, "bad_step")) == 6


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_item_is_logged_and_the_next_one_takes_its_place(workers, tmp_path: Path, caplog):
    """Items 4 and 5 of each epoch are broken: the second batch is 6, 6, 6, 7."""
    config = with_loop(replace(TOY.config, broken=(4, 5)), workers=workers, epochs=1)
    used: list[torch.Tensor] = []

    class Looks(ToyTask):
        def loss(self, batch):
            used.append(batch[0])
            return super().loss(batch)

    toy_train(tmp_path, config, Recipe("", config, Looks))
    x = used[1]
    assert torch.equal(x[0], x[2]) and torch.equal(x[1], x[2]) and not torch.equal(x[2], x[3])
    broken = events(tmp_path, "broken_item")
    assert [line["item"] for line in broken] == [
        "toy 4 (epoch 0 item 4)",
        "toy 5 (epoch 0 item 5)",
        "toy 5 (epoch 0 item 5)",
    ]
    assert broken[-1]["count"] == 3
    assert "OSError: picture 4 is cut short" in caplog.text


def test_too_many_broken_items_end_the_run(tmp_path: Path):
    config = with_loop(replace(TOY.config, broken=(1, 6, 9)), broken_limit=3)
    with pytest.raises(TrainingError, match=r"4 items could not be read.*toy 1 \(epoch 1 item 1\)"):
        toy_train(tmp_path, config)
    assert len(train_losses(tmp_path)) == 4  # the fourth broken item is in the fifth step


def test_the_last_item_of_a_data_set_is_replaced_by_the_first(tmp_path: Path):
    config = with_loop(replace(TOY.config, items=8, broken=(7,)), iterations=None, epochs=1)
    used: list[torch.Tensor] = []

    class Looks(ToyTask):
        def loss(self, batch):
            used.append(batch[0])
            return super().loss(batch)

    toy_train(tmp_path, config, Recipe("", config, Looks))
    assert torch.equal(used[1][3], used[0][0])


def test_a_data_set_without_a_whole_item_is_refused_at_once(tmp_path: Path):
    config = replace(TOY.config, broken=tuple(range(1000)))
    with pytest.raises(TrainingError, match=r"cannot read 100 items in a row:\n  - toy 0 "):
        toy_train(tmp_path, config)


def test_nan_gradients_end_a_run_in_fp16_too(tmp_path: Path):
    """The scaler takes them for overflows until its scale, 65536 at first, is below 1."""
    recipe = Recipe("", TOY.config, InfiniteGradient)
    config = with_loop(precision="fp16", epochs=30, bad_steps_limit=4)
    with pytest.raises(TrainingError, match="loss or gradient not finite in 4 steps in a row"):
        toy_train(tmp_path, config, recipe)
    assert [line["step"] for line in events(tmp_path, "bad_step")] == [18, 19, 20, 21]


def test_an_overflow_of_fp16_is_mended_by_the_scaler_and_no_bad_step(tmp_path: Path):
    """Gradients of 65536 times the loss do not fit into fp16; of 32768 times they do."""
    config = with_loop(precision="fp16", epochs=1, bad_steps_limit=1, checkpoint_minutes=0.0)
    config = with_loop(config, keep_last=10)
    toy_train(tmp_path, config)
    assert events(tmp_path, "bad_step") == []
    norms = train_losses(tmp_path, "gradient_norm")
    assert norms[0] is None and None not in norms[1:]
    paths = sorted((tmp_path / "checkpoints").glob("step-*.pt"))
    states = [torch.load(path, weights_only=True) for path in paths]
    assert [state["scaler"]["scale"] for state in states] == [2.0**15] * 4
    assert [state["scaler"]["_growth_tracker"] for state in states] == [0, 1, 2, 3]
    assert [len(state["optimiser"]["state"]) for state in states] == [0, 4, 4, 4]


def test_a_device_without_memory_is_one_sentence(tmp_path: Path):
    class Large(ToyTask):
        def after_step(self) -> None:
            raise torch.OutOfMemoryError("simulated")

    with pytest.raises(DeviceMemoryError, match=r"accumulate the batch in more parts"):
        toy_train(tmp_path, TOY.config, Recipe("", TOY.config, Large))
