"""``maskcast info``: settings in force with weights, settings of methods, training runs."""

from __future__ import annotations

import json

from maskcast.methods.recipes import recipes
from maskcast.training.run_folder import as_json


def test_settings_in_force_are_marked_where_they_differ_from_the_method(maskcast):
    lines = maskcast("info", "lwl-small").output.splitlines()
    settings = {line[2:].split()[0]: line for line in lines if line[:2] in ("* ", "  ")}
    assert settings["learner.update_steps"].startswith("* ")
    assert settings["learner.update_steps"].endswith("5  (default: 3)")
    assert settings["learner.initial_steps"].startswith("  ")
    assert settings["learner.initial_steps"].endswith("20")
    assert not any(name.startswith("network.") for name in settings)
    assert lines[-1] == "  and 18 settings network.*, which the weights fix; --all shows them"


def test_all_settings_include_the_network(maskcast):
    output = maskcast("info", "lwl-small", "--all").output
    assert "* network.feature_channels" in output and "--all shows them" not in output


def test_settings_of_a_method_are_described_within_100_columns(maskcast):
    output = maskcast("info", "lwl").output
    settings = output[output.index("  learner.initial_steps") :].splitlines()
    assert settings[:2] == [
        "  learner.initial_steps = 20  (an integer)",
        "      Steepest-descent steps on the frame where an object starts.",
    ]
    descriptions = [line for line in settings if line.startswith("      ")]
    assert len(descriptions) > 25 and max(map(len, descriptions)) <= 100
    assert "network." not in output.replace("network.*", "").replace("the network", "")


def test_a_training_run_shows_progress_weights_and_its_own_settings(clip, maskcast):
    config = as_json(recipes()["lwl-small"].config)
    config["loop"]["seed"] = 7
    run = clip / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"recipe": "lwl-small", "config": config}))
    card = {"status": "time", "step": 5, "total_steps": 90, "hours": 0.5, "best": 0.710012345}
    card |= {"started": "2026-11-30", "device": "cpu"}
    (run / "card.json").write_text(json.dumps(card))
    (run / "best.safetensors").write_bytes(b"")
    lines = maskcast("info", "run").output.splitlines()
    assert lines[1:] == [
        "status          time limit reached, 5 of 90 steps, 0.5 hours",
        "best            0.71",
        "started         2026-11-30 on cpu",
        "weights         run/best.safetensors",
        "setting         loop.seed 7  (recipe: 0)",
    ]


def test_a_damaged_card_of_a_training_run_is_left_out(clip, maskcast):
    (clip / "run").mkdir()
    (clip / "run" / "config.json").write_text('{"recipe": "gone", "config": {}}')
    (clip / "run" / "card.json").write_text("{")
    outcome = maskcast("info", "run")
    assert outcome.exit_code == 0 and len(outcome.output.splitlines()) == 1
