"""The course of a run: resuming, stopping, averaging, what is written."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fixtures.pretended_cuda import PretendedCuda
from maskcast.core.errors import DataError, RunConflictError, TrainingError, UsageError
from maskcast.core.training import OptimiserConfig, Recipe, ScheduleConfig
from maskcast.io.weights.names import read_weights
from maskcast.training.loop import train
from training.toy_task import (
    TOY,
    Crash,
    ToyConfig,
    ToyInParts,
    ToyTask,
    crashing,
    losses_of,
    train_losses,
    with_loop,
)


def toy_train(folder: Path, config: ToyConfig = TOY.config, recipe=TOY, **options):
    return train("toy", recipe, folder, config=config, device="cpu", **options)


def same_weights(first: Path, second: Path) -> bool:
    one, two = (read_weights(folder / "weights.safetensors").tensors for folder in (first, second))
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(replace(TOY.config, dropout=0.5), id="dropout"),
        pytest.param(
            with_loop(accumulate=2, average_decay=0.9, schedule=ScheduleConfig(kind="cosine")),
            id="parts-average-cosine",
        ),
        pytest.param(with_loop(replace(TOY.config, dropout=0.5), workers=2), id="workers"),
        pytest.param(with_loop(iterations=None, batch_size=6), id="whole-data-set"),
        pytest.param(with_loop(precision="fp16", log_every=3), id="fp16-window"),
        pytest.param(with_loop(optimiser=OptimiserConfig(kind="radam")), id="radam"),
    ],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(config: ToyConfig, tmp_path: Path):
    config = with_loop(config, checkpoint_every=100, checkpoint_minutes=0.0)  # after every step
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    toy_train(unbroken, config)
    with pytest.raises(Crash):
        toy_train(broken, config, crashing(5 * config.loop.accumulate))
    toy_train(broken, config)
    assert losses_of(broken) == losses_of(unbroken)
    assert same_weights(broken, unbroken)


def test_steps_lost_after_the_last_checkpoint_are_done_again(tmp_path: Path):
    config = replace(TOY.config, dropout=0.5)  # checkpoints after each epoch of 4 steps
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    toy_train(unbroken, config)
    with pytest.raises(Crash):
        toy_train(broken, config, crashing(7))
    assert len(train_losses(broken)) == 7
    toy_train(broken, config)
    assert losses_of(broken) == losses_of(unbroken)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, caplog):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    toy_train(unbroken)
    with pytest.raises(Crash):
        toy_train(broken, TOY.config, crashing(10))
    newest = broken / "checkpoints" / "step-000000008.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    toy_train(broken)
    assert "step-000000008.pt is damaged" in caplog.text
    assert losses_of(broken) == losses_of(unbroken)


def test_parts_add_up_to_the_batch(tmp_path: Path):
    toy_train(tmp_path / "whole")
    toy_train(tmp_path / "parts", with_loop(accumulate=4))
    whole, parts = (train_losses(tmp_path / name) for name in ("whole", "parts"))
    torch.testing.assert_close(torch.tensor(parts), torch.tensor(whole))


def test_the_number_of_workers_changes_nothing(tmp_path: Path):
    for workers in (0, 2):
        toy_train(tmp_path / str(workers), with_loop(workers=workers))
    assert losses_of(tmp_path / "0") == losses_of(tmp_path / "2")


def test_the_loss_falls_and_the_best_is_kept(tmp_path: Path):
    config = with_loop(epochs=12, optimiser=OptimiserConfig(rate=0.1), keep_last=3)
    outcome = toy_train(tmp_path, config)
    losses = train_losses(tmp_path)
    assert sum(losses[:8]) > 2 * sum(losses[-8:])
    scores = [line["score"] for line in losses_of(tmp_path) if line["kind"] == "validation"]
    assert outcome.best == max(scores)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["best.pt", *(f"step-{step:09d}.pt" for step in (40, 44, 48))]
    best_step = 4 * (1 + scores.index(max(scores)))
    best = torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)
    assert best["step"] == best_step
    card = read_weights(tmp_path / "best.safetensors").card
    assert card["training"]["step"] == best_step and card["note"] == "toy"


def test_the_lowest_value_can_be_the_best(tmp_path: Path):
    config = with_loop(best_is="lowest", best_metric="score")
    outcome = toy_train(tmp_path, config)
    scores = [line["score"] for line in losses_of(tmp_path) if line["kind"] == "validation"]
    assert outcome.best == min(scores) < max(scores)


def test_an_unknown_metric_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="best_metric must be one of score, got iou"):
        toy_train(tmp_path, with_loop(best_metric="iou"))


def test_a_finished_run_is_left_as_it_is(tmp_path: Path):
    toy_train(tmp_path)
    before = losses_of(tmp_path)
    outcome = toy_train(tmp_path)
    assert outcome.reason == "finished" and outcome.step == 12
    assert losses_of(tmp_path) == before


def test_another_run_in_the_folder_is_refused(tmp_path: Path):
    toy_train(tmp_path)
    other = with_loop(replace(TOY.config, width=7), epochs=4, workers=1)
    with pytest.raises(RunConflictError, match=r"loop.epochs was 3, now 4\n  - width was 4, now 7"):
        toy_train(tmp_path, other)


def test_another_run_is_refused_where_a_killed_one_left_checkpoints_only(tmp_path: Path):
    with pytest.raises(Crash):
        toy_train(tmp_path, TOY.config, crashing(7))
    (tmp_path / "best.safetensors").unlink()
    assert not (tmp_path / "weights.safetensors").exists()
    with pytest.raises(RunConflictError, match="width was 4, now 7"):
        toy_train(tmp_path, replace(TOY.config, width=7))


def test_a_second_process_in_the_folder_of_a_run_is_refused(tmp_path: Path):
    class MeetsAnother(ToyTask):
        def loss(self, batch):
            with pytest.raises(RunConflictError, match="another process is writing to"):
                toy_train(tmp_path)
            return super().loss(batch)

    config = with_loop(epochs=1)
    assert toy_train(tmp_path, config, Recipe("", config, MeetsAnother)).step == 4
    assert toy_train(tmp_path, config).step == 4  # the first one has left


def test_a_run_on_a_card_goes_on_as_if_nothing_had_happened(tmp_path: Path):
    """On a pretended one, whose values are those of the CPU."""
    config = with_loop(
        average_decay=0.9, clip_norm=1.0, checkpoint_every=100, checkpoint_minutes=0.0
    )
    toy_train(tmp_path / "cpu", config)
    with PretendedCuda() as card:
        with pytest.raises(Crash):
            train("toy", crashing(5), tmp_path / "cuda", config=config, device="cuda")
        train("toy", TOY, tmp_path / "cuda", config=config, device="cuda", profile=True)
    assert losses_of(tmp_path / "cuda") == losses_of(tmp_path / "cpu")
    assert same_weights(tmp_path / "cuda", tmp_path / "cpu")
    calls = card.generator_calls
    assert calls["set_rng_state"] == calls["get_rng_state"] + 1  # once more to go on from there


class AsksToStop(ToyTask):
    """Gets Ctrl-C in its sixth step."""

    def loss(self, batch):
        self.validations += 1
        if self.validations == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(batch)


def test_ctrl_c_saves_and_the_run_goes_on_later(tmp_path: Path):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    toy_train(unbroken)
    outcome = toy_train(broken, TOY.config, Recipe(TOY.title, TOY.config, AsksToStop))
    assert (outcome.reason, outcome.step) == ("interrupted", 6)
    assert outcome.checkpoint == broken / "checkpoints" / "step-000000006.pt"
    assert outcome.weights.is_file()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    toy_train(broken)
    assert losses_of(broken) == losses_of(unbroken)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_validation(times: int, tmp_path: Path):
    """Once: it is finished first. Twice: at once, and the epoch is done again."""
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    toy_train(unbroken)

    class Interrupted(ToyTask):
        def validate_part(self, part: int):
            if not (broken / "best.safetensors").is_file():
                return super().validate_part(part)
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
            return super().validate_part(part)

    recipe = Recipe(TOY.title, TOY.config, Interrupted)
    if times == 1:
        assert toy_train(broken, TOY.config, recipe).step == 9
    else:
        with pytest.raises(KeyboardInterrupt):
            toy_train(broken, TOY.config, recipe)
    toy_train(broken)
    assert losses_of(broken) == losses_of(unbroken)
    assert same_weights(broken, unbroken)


def test_time_is_up_after_a_whole_step_with_everything_saved(tmp_path: Path):
    outcome = toy_train(tmp_path, max_minutes=0.0)
    assert (outcome.reason, outcome.step, outcome.total_steps) == ("time", 1, 12)
    assert outcome.checkpoint is not None and outcome.checkpoint.is_file()
    assert outcome.weights.is_file()
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["status"], card["step"], card["recipe"]) == ("time", 1, "toy")


def test_the_average_of_the_weights_is_exported(tmp_path: Path):
    """Recomputed from the checkpoints of every step, in double precision."""
    config = with_loop(average_decay=0.6, checkpoint_minutes=0.0, keep_last=100)
    toy_train(tmp_path, config)
    steps = [
        torch.load(path, weights_only=True)["module"]["0.weight"].double()
        for path in sorted((tmp_path / "checkpoints").glob("step-*.pt"))
    ]
    average = first_weights(config, tmp_path / "other").double()
    for update, weight in enumerate(steps):
        decay = min(0.6, (1 + update) / (10 + update))
        average = decay * average + (1 - decay) * weight
    exported = read_weights(tmp_path / "weights.safetensors").tensors["0.weight"]
    torch.testing.assert_close(exported.double(), average, rtol=0, atol=2e-3)  # half precision
    assert not torch.allclose(exported.double(), steps[-1], rtol=0, atol=4e-3)


def first_weights(config: ToyConfig, folder: Path) -> torch.Tensor:
    """Return the weights before the first step."""
    seen: list[torch.Tensor] = []

    class Looks(ToyTask):
        def loss(self, batch):
            seen.append(self.module[0].weight.detach().clone())
            raise Crash

    with pytest.raises(Crash):
        toy_train(folder, config, Recipe("", config, Looks))
    return seen[0]


def test_start_from_takes_weights_but_a_fresh_schedule(tmp_path: Path):
    toy_train(tmp_path / "first")
    weights = tmp_path / "first" / "weights.safetensors"
    seen: list[torch.Tensor] = []

    class Looks(ToyTask):
        def loss(self, batch):
            seen.append(self.module[0].weight.detach().clone())
            return super().loss(batch)

    recipe = Recipe(TOY.title, TOY.config, Looks)
    outcome = toy_train(tmp_path / "second", TOY.config, recipe, start_from=str(weights))
    expected = read_weights(weights).tensors["0.weight"]
    assert expected.dtype == torch.float16
    torch.testing.assert_close(seen[0], expected.float(), rtol=0, atol=0)
    assert outcome.step == 12
    again = toy_train(tmp_path / "second", start_from=str(weights))  # resumes, does not start over
    assert again.step == 12
    with pytest.raises(RunConflictError, match="initial weights are different"):
        toy_train(tmp_path / "second", start_from=str(tmp_path / "second" / "weights.safetensors"))


def test_pictures_and_numbers_are_shown_in_tensorboard(tmp_path: Path):
    class Shows(ToyTask):
        def pictures(self):
            return {"grey": torch.full((3, 4, 5), 128, dtype=torch.uint8)}

    toy_train(tmp_path, with_loop(epochs=1), Recipe(TOY.title, TOY.config, Shows))
    assert (tmp_path / "pictures" / "step-000000004" / "grey.png").is_file()
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert board.Tags()["images"] == ["grey"]
    assert {"train/total", "validation/score"} <= set(board.Tags()["scalars"])
    assert [event.step for event in board.Scalars("train/total")] == [1, 2, 3, 4]


def test_the_card_says_what_ran_on_what(tmp_path: Path):
    class Knows(ToyTask):
        def data_fingerprint(self) -> str:
            return "abc"

    toy_train(tmp_path, with_loop(epochs=1), Recipe(TOY.title, TOY.config, Knows))
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["data_fingerprint"] == "abc"
    assert card["packages"]["torch"] == torch.__version__.split("+")[0]
    assert card["processes"] == 1 and card["device"].startswith("cpu")
    assert card["status"] == "finished"


def test_a_data_set_smaller_than_a_batch_is_refused(tmp_path: Path):
    config = with_loop(replace(TOY.config, items=3), iterations=None)
    with pytest.raises(
        TrainingError, match="batch_size must be at most the 3 items of the data set, got 4"
    ):
        toy_train(tmp_path, config)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_computes_in_it_and_learns_the_same(precision: str, tmp_path: Path):
    seen: set[torch.dtype] = set()

    class Looks(ToyTask):
        def loss(self, batch):
            assert batch[0].dtype == torch.float32  # the data is left as it is
            seen.add(self.module(batch[0]).dtype)
            return super().loss(batch)

    config = with_loop(precision=precision)
    toy_train(tmp_path / "half", config, Recipe(TOY.title, config, Looks))
    toy_train(tmp_path / "single")
    assert seen == {{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]}
    half, single = (torch.tensor(train_losses(tmp_path / name)) for name in ("half", "single"))
    torch.testing.assert_close(half[0], single[0], rtol=0.01, atol=0.0)
    # fp16 gives its first steps away to find the scale of the gradients
    torch.testing.assert_close(half[-1], single[-1], rtol=0.1, atol=0.0)
    assert not torch.equal(half, single)
    state = torch.load(tmp_path / "half" / "checkpoints" / "best.pt", weights_only=True)
    assert state["module"]["0.weight"].dtype == torch.float32


@pytest.mark.slow
def test_a_compiled_loss_learns_the_same(tmp_path: Path):
    toy_train(tmp_path / "compiled", with_loop(compile=True))
    toy_train(tmp_path / "plain")
    compiled, plain = (torch.tensor(train_losses(tmp_path / n)) for n in ("compiled", "plain"))
    torch.testing.assert_close(compiled, plain)


def test_after_each_step_the_task_may_act(tmp_path: Path):
    class Clamps(ToyTask):
        def after_step(self) -> None:
            with torch.no_grad():
                self.module[3].bias.clamp_(max=0.0)

        def loss(self, batch):
            assert self.module[3].bias.item() <= 0 or self.validations == 0
            self.validations += 1
            return super().loss(batch)

    outcome = toy_train(tmp_path, TOY.config, Recipe(TOY.title, TOY.config, Clamps))
    assert read_weights(outcome.weights).tensors["3.bias"].item() == 0
    free = toy_train(tmp_path / "free")
    assert read_weights(free.weights).tensors["3.bias"].item() > 0


def test_a_loss_without_a_total_is_refused(tmp_path: Path):
    class Nameless(ToyTask):
        def loss(self, batch):
            return {"sum": super().loss(batch)["total"]}

    with pytest.raises(TrainingError, match='must contain "total"'):
        toy_train(tmp_path, TOY.config, Recipe(TOY.title, TOY.config, Nameless))


def test_a_run_killed_between_its_last_checkpoint_and_its_weights_exports_them(tmp_path: Path):
    toy_train(tmp_path, max_minutes=0.0)  # stops after a step, with weights

    class Killed(ToyTask):
        def export(self):
            if (tmp_path / "checkpoints/step-000000012.pt").is_file():
                raise Crash
            return super().export()

    with pytest.raises(Crash):
        toy_train(tmp_path, TOY.config, Recipe("", TOY.config, Killed))
    assert read_weights(tmp_path / "weights.safetensors").card["training"]["step"] == 1
    toy_train(tmp_path)
    card = read_weights(tmp_path / "weights.safetensors").card["training"]
    assert (card["step"], card["status"]) == (12, "finished")


def test_weights_that_nobody_knows_the_run_of_are_not_written_over(tmp_path: Path):
    toy_train(tmp_path, with_loop(epochs=1))
    (tmp_path / "config.json").unlink()
    with pytest.raises(
        RunConflictError, match=r"contains files but no training run .*; choose a different folder"
    ):
        toy_train(tmp_path, with_loop(epochs=1))


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path):
    toy_train(tmp_path, max_minutes=0.0)
    left = [
        tmp_path / ".0123456789ab.part.safetensors",
        tmp_path / "checkpoints/.abcdef012345.part",
    ]
    mine = tmp_path / ".notes.part"
    for path in (*left, mine):
        path.write_bytes(b"half")
    toy_train(tmp_path)
    assert not any(path.exists() for path in left) and mine.exists()


def test_a_run_that_fails_leaves_no_process_behind(tmp_path: Path):
    """The traceback, which is kept here, would keep the loader."""
    with pytest.raises(Crash) as failure:
        toy_train(tmp_path, with_loop(workers=2), crashing(2))
    assert failure.traceback and multiprocessing.active_children() == []


def test_a_loading_process_that_dies_is_one_sentence(tmp_path: Path):
    class Kills(ToyTask):
        def loss(self, batch):
            multiprocessing.active_children()[0].kill()
            time.sleep(60)  # torch hears of it here
            return super().loss(batch)

    recipe = Recipe("", TOY.config, Kills)
    with pytest.raises(
        TrainingError, match=r"data-loading worker died, .*resume with fewer workers"
    ):
        toy_train(tmp_path, with_loop(workers=2), recipe)


def test_weights_of_another_run_are_not_written_over(tmp_path: Path):
    toy_train(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(RunConflictError, match="width was 4, now 7"):
        toy_train(tmp_path, replace(TOY.config, width=7))


def test_a_checkpoint_of_another_version_is_refused_in_one_sentence(tmp_path: Path):
    toy_train(tmp_path, with_loop(epochs=1))

    class Deeper(ToyTask):
        def __init__(self, config: ToyConfig) -> None:
            super().__init__(config)
            self.module.append(torch.nn.Linear(1, 1))

    with pytest.raises(TrainingError, match=r"step-000000004\.pt does not fit this network"):
        toy_train(tmp_path, with_loop(epochs=1), Recipe("", TOY.config, Deeper))


def test_curves_of_a_resumed_run_have_every_step_once(tmp_path: Path):
    with pytest.raises(Crash):
        toy_train(tmp_path, TOY.config, crashing(7))  # the newest checkpoint is of step 4
    toy_train(tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("train/total")] == list(range(1, 13))


def test_a_broken_picture_of_the_hold_out_does_not_end_the_run(tmp_path: Path, caplog):
    class Torn(ToyInParts):
        def validate_part(self, part: int):
            if part == 1:
                raise DataError("b.png is torn")
            return super().validate_part(part)

    config = with_loop(epochs=1)
    outcome = toy_train(tmp_path, config, Recipe("", config, Torn))
    (found,) = [line for line in losses_of(tmp_path) if line["kind"] == "validation"]
    assert outcome.best is not None and found["squares"] == (0 + 4) / 2
    assert "skipped in validation: b.png is torn" in caplog.text


def test_a_task_may_combine_the_parts_of_its_validation(tmp_path: Path):
    class Combining(ToyInParts):
        def combine_parts(self, parts: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
            return {"score": parts[-1]["squares"], "parts": len(parts)}

    config = with_loop(epochs=1)
    outcome = toy_train(tmp_path, config, Recipe("", config, Combining))
    (found,) = [line for line in losses_of(tmp_path) if line["kind"] == "validation"]
    assert outcome.best == found["score"] == 4 and found["parts"] == 3


def test_without_validation_the_best_weights_are_the_last_ones(tmp_path: Path, caplog):
    class Blind(ToyTask):
        def validate_part(self, part: int):
            return {}

    caplog.set_level("INFO")
    outcome = toy_train(tmp_path, with_loop(epochs=1), Recipe("", TOY.config, Blind))
    assert "no held-out data can be read" in caplog.text
    assert "no validation took place; best.safetensors has the last weights" in caplog.text
    best, last = (read_weights(tmp_path / f"{n}.safetensors").tensors for n in ("best", "weights"))
    assert outcome.best is None and all(torch.equal(best[name], last[name]) for name in last)


def test_a_run_can_validate_before_its_first_step(tmp_path: Path, caplog):
    caplog.set_level("INFO")
    toy_train(tmp_path, with_loop(epochs=1, validate_first=True))
    validations = [line["step"] for line in losses_of(tmp_path) if line["kind"] == "validation"]
    assert validations[0] == 0 and len(validations) == 2
    assert "the first step took" in caplog.text and "starts as the recipe says" in caplog.text
    other = tmp_path / "without"
    toy_train(other, with_loop(epochs=1))
    assert same_weights(tmp_path, other)  # it changes nothing else
