"""``maskcast train``: finding a recipe, settings from the command line and from a file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.pretended_cuda import PretendedCuda
from maskcast.cli import main as command_line
from maskcast.cli import train as command
from maskcast.core.errors import UsageError
from maskcast.methods.recipes import recipes
from maskcast.training.run_folder import as_json
from training.toy_task import TOY, ToyConfig


@pytest.fixture(autouse=True)
def only_the_toy(monkeypatch):
    monkeypatch.setattr(command, "recipes", lambda: {"toy": TOY})


def run(*arguments: object) -> int:
    return command_line.main(["train", *map(str, arguments)])


def test_a_setting_at_any_depth_is_changed_and_written_beside_the_run(tmp_path: Path, capsys):
    arguments = ["--loop.epochs", 1, "--width", 5, "--loop.optimiser.rate", 0.5]
    arguments += ["--over-batch", "True", "--broken", 1, 2, "--loop.precision", "bf16"]
    assert run("toy", "--run", tmp_path, *arguments) == 0
    assert "finished: step 4 of 4" in capsys.readouterr().out
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["recipe"] == "toy"
    assert written["config"]["width"] == 5
    assert written["config"]["loop"]["epochs"] == 1
    assert written["config"]["loop"]["optimiser"]["rate"] == 0.5
    assert written["config"]["loop"]["precision"] == "bf16"
    assert (written["config"]["over_batch"], written["config"]["broken"]) == (True, [1, 2])
    assert written["config"]["items"] == ToyConfig().items  # the others are all there too


def test_settings_are_read_back_from_a_run_and_those_given_win(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    run("toy", "--run", first, "--loop.epochs", 1, "--width", 5)
    assert run("--config", first / "config.json", "--run", second, "--loop.seed", 3) == 0
    expected = json.loads((first / "config.json").read_text())
    expected["config"]["loop"]["seed"] = 3
    assert json.loads((second / "config.json").read_text()) == expected


def test_the_same_run_is_resumed_and_another_one_is_refused(tmp_path: Path, capsys):
    run("toy", "--run", tmp_path, "--loop.epochs", 1)
    weights = (tmp_path / "weights.safetensors").read_bytes()
    assert run("toy", "--run", tmp_path, "--loop.epochs", 1, "--loop.log-every", 7) == 0
    assert run("toy", "--run", tmp_path, "--loop.epochs", 1, "--width", 9) == 2
    said = capsys.readouterr().err
    assert "width was 4, now 9 (--run)" in said and "choose a different folder" in said
    assert (tmp_path / "weights.safetensors").read_bytes() == weights


def test_a_certain_card_is_trained_on(tmp_path: Path):
    with PretendedCuda(cards=2):
        assert run("toy", "--run", tmp_path, "--loop.epochs", 1, "--device", "cuda:1") == 0
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["device"] == "cuda:1 a pretended card"


@pytest.mark.parametrize("arguments", [["--list"], []])
def test_the_recipes_are_listed(arguments, capsys):
    assert run(*arguments) == 0
    assert "toy  a line fitted to points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tony"], "unknown recipe 'tony'; available: toy"),
        (["--run", "x"], "no recipe given; maskcast train --list"),
        (["toy", "--config", "nowhere.json"], "config file nowhere.json does not exist"),
        (["toy", "--device", "abacus"], "unknown device 'abacus'"),
        (["toy", "--device", "cuda:9"], "device 'cuda:9' "),
        (["toy", "--max-minutes", "-1"], "--max-minutes must be at least 0, got -1"),
        (["toy", "--max-minutes", "nan"], "--max-minutes must be at least 0, got nan"),
        (["--config"], "no recipe given; maskcast train --list"),
        (["toy", "--start-from", "nothing"], "nothing"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) in (2, 3)
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"recipe": "toy", "config": null}'])
def test_a_damaged_config_is_one_sentence(content, tmp_path: Path, capsys):
    (tmp_path / "config.json").write_text(content)
    assert run("--config", tmp_path) == 2
    assert "config.json is not the config of a training run" in capsys.readouterr().err


def test_a_config_of_another_recipe_is_refused(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(command, "recipes", lambda: {"toy": TOY, "tin": replace(TOY, title="tin")})
    run("toy", "--run", tmp_path, "--loop.epochs", 1)
    assert run("tin", "--config", tmp_path) == 2
    assert "is the config of the recipe toy, not of tin" in capsys.readouterr().err


def test_profile_says_where_the_time_went(tmp_path: Path, capsys):
    assert run("toy", "--run", tmp_path, "--loop.epochs", 1, "--profile") == 0
    said = capsys.readouterr().out
    assert "waiting for data" in said and "backward" in said and "ms" in said


def test_help_breaks_a_description_at_the_width_of_the_terminal_alone(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit):
        run("toy", "--help")
    text = re.sub(r"\s*│\n│\s*", " ", capsys.readouterr().out)
    assert "to save memory. A loss that is" in text
    assert "  A loss that is" not in text


def test_recipes_are_listed_without_the_extra_and_without_pyav():
    """Also in the commands, which import every method."""
    program = (
        "import sys\n"
        "for name in ('av', 'lightning', 'tensorboard'): sys.modules[name] = None\n"
        "from maskcast.cli.main import main\n"
        "sys.exit(main(['train', '--list']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "eosvos-small  " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lwl-small-2"], "lwl-small-2 is now called lwl-small"),
        (["lwl-small-crop"], "lwl-small-crop is now called lwl-small-0.1-crop"),
    ],
)
def test_recipes_that_were_renamed_are_named(arguments, message):
    with pytest.raises(UsageError, match=message):
        command.choose(arguments, recipes())


def test_a_config_of_a_renamed_recipe_is_read(tmp_path: Path):
    settings = as_json(recipes()["lwl-small"].config)
    settings["data"]["made_up_weight"] = 0.25
    del settings["data"]["synthetic_weight"]
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"recipe": "lwl-small-2", "config": settings}))
    name, config, _ = command.choose(["--config", str(file)], recipes())
    assert (name, config.data.synthetic_weight) == ("lwl-small", 0.25)
