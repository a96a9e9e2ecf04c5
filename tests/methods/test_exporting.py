"""Folders of exported graphs: their files, their check, and clips without torch."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from fixtures.exported_graphs import (
    differing_pixels,
    eventful,
    given_to,
    segment_both,
    synthetic_frames,
)
from maskcast.cli.graphs_description import check_graphs
from maskcast.cli.path_description import describe_path
from maskcast.core.config import config_to_dict
from maskcast.core.errors import DataError, MissingFileError, OutputError, UsageError
from maskcast.io.weights.files import write_weights
from maskcast.methods.agame.config import PresenceConfig as AgamePresence
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.presets import tiny as tiny_agame
from maskcast.methods.eosvos.presets import tiny as tiny_eosvos
from maskcast.methods.exported import ExportedGraphs, drawn_inputs
from maskcast.methods.exporting import OPSET, export_graphs
from maskcast.methods.graphs import GraphInput, MethodGraphs
from maskcast.methods.lwl import export as lwl_export
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presence_config import PresenceConfig
from maskcast.methods.lwl.presets import tiny as tiny_lwl
from maskcast.methods.onnx_runtime.program import prompts_of
from maskcast.methods.onnx_runtime.session import Session
from maskcast.methods.runtime_file import NAME, runtime_source
from maskcast.methods.spec import load_segmenter

FRAME_SIZE = (90, 130)
MOST_NODES = 3000


def need_onnx() -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="requires the extra onnx")


def lwl_weights(folder: Path) -> Path:
    """Seeded tiny weights of LWL that detect absence and start from boxes."""
    config = tiny_lwl()
    config = replace(
        config,
        crop=replace(config.crop, box_view="crop", exact_paste=True, disjoint_boxes=True),
        presence=PresenceConfig(
            rule="likeness", thresholds=(0.5, 0.52), certain_below=(0.4, 0.1), largest_drop=0.9
        ),
    )
    path = folder / "lwl-tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = LWLNetwork(config.network).state_dict()
    values = config_to_dict(config)
    write_weights(path, method="lwl", config=values, tensors=tensors, card={"licence": "none"})
    return path


def agame_weights(folder: Path) -> Path:
    """Seeded tiny weights of A-GAME that detect absence."""
    presence = AgamePresence(rule="confidence", thresholds=(0.6, 0.62))
    config = replace(tiny_agame(), working_side=64, presence=presence)
    path = folder / "agame-tiny.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = AgameNetwork(config).state_dict()
    values = config_to_dict(config)
    write_weights(path, method="agame", config=values, tensors=tensors, card={})
    return path


@pytest.fixture
def two_graphs(monkeypatch):
    """Only the two smallest graphs of LWL are exported, which takes seconds."""
    whole = lwl_export.graphs

    def some(*arguments: object) -> MethodGraphs:
        made = whole(*arguments)
        return replace(made, graphs={name: made.graphs[name] for name in ("label", "learn")})

    monkeypatch.setattr(lwl_export, "graphs", some)


def test_the_runtime_is_one_file_that_imports_nothing_of_ours():
    tree = ast.parse(runtime_source())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime", "PIL", "av"}
    definitions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    assert [n for n, count in Counter(one.name for one in definitions).items() if count > 1] == []


@pytest.mark.parametrize("form", ["onnx", "pt2"])
def test_a_folder_of_graphs_checks_itself(form, two_graphs, tmp_path):
    if form == "onnx":
        need_onnx()
    card = export_graphs(lwl_weights(tmp_path), tmp_path / "out", form=form)
    assert card == json.loads((tmp_path / "out" / "card.json").read_text())
    assert (card["method"], card["licence"]) == ("lwl", "none")
    assert (tmp_path / "out" / NAME).exists() == (form == "onnx")
    deviations = ExportedGraphs(tmp_path / "out", trust_code=True).check()
    assert {(one.graph, one.output) for one in deviations} == {
        ("label", "label"),
        ("label", "weight"),
        ("learn", "tau_after"),
    }
    assert all(one.relative == 0 if form == "pt2" else one.is_small for one in deviations)
    assert any("learn" in line for line in describe_path(tmp_path / "out"))
    assert len(list(check_graphs(str(tmp_path / "out"), trust_code=True))) == 3

    path = tmp_path / "out" / card["graphs"]["label"]["file"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or was changed"):
        ExportedGraphs(tmp_path / "out", trust_code=True)
    if form == "onnx":
        with pytest.raises(ValueError, match="damaged or was changed"):
            Session(tmp_path / "out")
    else:
        program = torch.export.load(tmp_path / "out" / card["graphs"]["learn"]["file"])
        assert program.example_inputs is None


def test_graphs_of_another_machine_are_rejected(two_graphs, tmp_path):
    export_graphs(lwl_weights(tmp_path), tmp_path / "out", form="pt2")
    path = tmp_path / "out" / "card.json"
    card = json.loads(path.read_text())
    card["form"], card["surroundings"]["torch"] = "aoti", "1.0"
    path.write_text(json.dumps(card))
    with pytest.raises(UsageError, match=r"compiled for torch 1\.0, but this is"):
        ExportedGraphs(tmp_path / "out", trust_code=True)


@pytest.mark.parametrize("text", ["1:3,2,7", "3,2,7,7", "1:a,2,7,7", "dog:3,2,7,7"])
def test_the_runtime_says_how_boxes_are_written(text):
    with pytest.raises(ValueError, match=f"^invalid box '{text}'; write ID:X,Y,WIDTH,HEIGHT"):
        prompts_of(None, [text])


@pytest.mark.parametrize("form", ["pt2", "aoti"])
def test_graphs_that_can_run_code_are_loaded_only_with_trust(form, tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({"format": 1, "form": form, "graphs": {}}))
    with pytest.raises(UsageError, match=f"the form {form} run code that is in") as caught:
        list(check_graphs(str(tmp_path)))
    assert caught.value.options == ("trust_code",)


def test_what_cannot_be_exported_is_named(tmp_path, monkeypatch):
    config = config_to_dict(tiny_eosvos())
    path = tmp_path / "eosvos.safetensors"
    write_weights(path, method="eosvos", config=config, tensors={"x": torch.ones(1)}, card={})
    with pytest.raises(UsageError, match="trains its network on the objects of each video"):
        export_graphs(path, tmp_path / "out", form="pt2")
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    with pytest.raises(OutputError, match="not an empty folder"):
        export_graphs(lwl_weights(tmp_path), full, form="pt2")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r'pip install "\.\[onnx\]"'):
        export_graphs(lwl_weights(tmp_path), tmp_path / "out", form="onnx")
    assert not (tmp_path / "out").exists()
    with pytest.raises(MissingFileError, match=r"no card\.json"):
        ExportedGraphs(full)


def test_the_inputs_of_a_check_are_always_the_same():
    specs = {"a": GraphInput((2, "samples"), -1.0, 1.0), "m": GraphInput((3,), is_mask=True)}
    drawn = drawn_inputs("graph", specs)
    expected = np.array([[0.035457015, 0.31396353], [0.75282896, -0.7241734]], np.float32)
    np.testing.assert_allclose(drawn["a"], expected, rtol=1e-6)
    assert set(drawn["m"]) <= {0.0, 1.0}


@pytest.fixture(scope="session")
def exported_folders(tmp_path_factory):
    """Export weights once per test run, for all processes of it."""
    need_onnx()
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "popen" in shared.name else shared

    def folder_of(weights: str | Path, size: tuple[int, int] | None = None) -> Path:
        folder = shared / f"graphs-{Path(weights).stem}"
        with FileLock(f"{folder}.lock"):
            if not (folder / "card.json").exists():
                shutil.rmtree(folder, ignore_errors=True)
                export_graphs(weights, folder, size=size)
        return folder

    return folder_of


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["maskcast"] = None
sys.path.insert(0, sys.argv[1])
import numpy as np
from maskcast_onnx import ABSENT, Box, Session
given = np.load(sys.argv[2], allow_pickle=True)
session = Session(sys.argv[1], threads=1)
state, maps = session.start(), []
for frame, marks in zip(given["frames"], given["marks"]):
    prompts = {
        key: ABSENT if isinstance(mark, str) else Box(*mark) if isinstance(mark, tuple) else mark
        for key, mark in marks.items()
    }
    state, masks = session.step(state, frame, prompts)
    maps.append(masks.label_map())
np.save(sys.argv[3], maps)
"""


def labels_without_torch(folder: Path, frames, marks, work: Path) -> np.ndarray:
    """Segment a clip in a process that cannot import torch."""
    per_frame = np.empty(len(frames), object)
    per_frame[:] = [marks.get(index, {}) for index in range(len(frames))]
    np.savez(work / "given.npz", frames=np.stack(frames), marks=per_frame)
    command = [sys.executable, "-c", WITHOUT_TORCH, folder, work / "given.npz", work / "maps.npy"]
    subprocess.run([*map(str, command)], check=True, timeout=500)
    return np.load(work / "maps.npy")


def labels_of_the_package(weights: str | Path, frames, marks) -> np.ndarray:
    """Segment a clip with the package, the memory in float32."""
    segmenter = load_segmenter(weights, device="cpu", options={"memory.dtype": "float32"})
    state, maps = segmenter.start(), []
    for index, frame in enumerate(frames):
        prompts = given_to(marks.get(index, {}), package=True)
        state, masks = segmenter.step(state, torch.from_numpy(frame), prompts)
        maps.append(masks.label_map().numpy())
    return np.stack(maps)


@pytest.mark.slow
def test_the_shipped_weights_run_without_torch(exported_folders, tmp_path):
    folder = exported_folders("lwl-small")
    deviations = ExportedGraphs(folder).check()
    assert {one.graph for one in deviations} == {"begin", "predict", "label", "learn", "box"}
    assert all(one.is_small for one in deviations), deviations
    frames, labels = synthetic_frames(24, (150, 220))
    marks = eventful(frames, labels)
    found = labels_without_torch(folder, frames, marks, tmp_path)
    expected = labels_of_the_package("lwl-small", frames, marks)
    assert len(np.unique(expected)) > 2
    assert (found != expected).mean() <= 1e-5


@pytest.mark.slow
def test_graphs_have_only_operators_of_the_standard(exported_folders):
    onnx = pytest.importorskip("onnx")
    for path in sorted(exported_folders("lwl-small").glob("*.onnx")):
        onnx.checker.check_model(path, full_check=True)
        model = onnx.load(path)
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        assert [one.version for one in model.opset_import if one.domain == ""] == [OPSET]
        assert len(model.graph.node) < MOST_NODES
        assert not any(tensor.external_data for tensor in model.graph.initializer)


@pytest.mark.slow
def test_a_long_clip_without_torch(exported_folders, tmp_path):
    frames, labels = synthetic_frames(60, FRAME_SIZE)
    marks = eventful(frames, labels)
    found = labels_without_torch(exported_folders("lwl-small"), frames, marks, tmp_path)
    expected = labels_of_the_package("lwl-small", frames, marks)
    assert len(np.unique(expected)) > 2
    assert (found != expected).mean() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("size", [FRAME_SIZE, (180, 260)])
def test_agame_runs_with_any_number_of_objects(size, exported_folders, tmp_path):
    weights = agame_weights(tmp_path)
    session = Session(exported_folders(weights, FRAME_SIZE), threads=1)
    segmenter = load_segmenter(weights, device="cpu")
    frames, labels = synthetic_frames(9, size)
    both = segment_both(segmenter, session, frames, eventful(frames, labels, boxes=False))
    assert differing_pixels(both) <= 1e-3  # a seeded network is unsure of many pixels
    masks = np.zeros((16, *size), bool)
    for index in range(16):
        row, column = divmod(index, 4)
        masks[index, 20 * row : 20 * row + 12, 30 * column : 30 * column + 20] = True
    for count in (1, 3, 16):
        marks = {0: {index + 1: masks[index] for index in range(count)}}
        assert differing_pixels(segment_both(segmenter, session, frames[-3:], marks)) <= 1e-3


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler (g++)")
def test_compiled_graphs(two_graphs, tmp_path):
    export_graphs(lwl_weights(tmp_path), tmp_path / "out", form="aoti")
    deviations = ExportedGraphs(tmp_path / "out", trust_code=True).check()
    assert len(deviations) == 3
    assert all(one.is_small for one in deviations), deviations
