"""What the catalogue and segmenting import, and what a method needs outside its folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import maskcast
from maskcast.methods.catalogue import METHODS

SOURCE = Path(maskcast.__file__).parent


def modules_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after the code."""
    code += "\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_methods_and_their_settings_need_neither_torch_nor_numpy():
    found = modules_after(
        "from maskcast.methods.catalogue import METHODS\n"
        "for method in METHODS.values(): method.config(), method.takes_boxes(method.tiny())"
    )
    assert "maskcast.methods.lwl.config" in found
    assert not found & {"torch", "numpy", "torchvision", "av", "PIL"}


def test_segmenting_loads_no_training_code_and_no_other_method():
    found = modules_after(
        "import maskcast, torch\n"
        "segmenter = maskcast.load_segmenter(device='cpu')\n"
        "mask = torch.zeros(48, 64, dtype=torch.bool)\n"
        "mask[10:20, 10:20] = True\n"
        "list(maskcast.segment_video(segmenter, [torch.rand(3, 48, 64)] * 2, {0: {1: mask}}))"
    )
    ours = {name for name in found if name.startswith("maskcast.")}
    assert "maskcast.methods.lwl.segmenter" in ours
    assert not {name for name in ours if ".training" in name or ".data" in name}
    assert not ours & {"maskcast.methods.agame.segmenter", "maskcast.methods.eosvos.segmenter"}
    assert "torchvision" not in found  # as slow to import as torch


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_mentioned_outside_its_folder_by_three_tables_only(method):
    folder = SOURCE / "methods" / method
    package = f"maskcast.methods.{method}"
    importing = {
        path.relative_to(SOURCE / "methods").as_posix()
        for path in SOURCE.rglob("*.py")
        if not path.is_relative_to(folder) and package in path.read_text("utf-8")
    }
    assert importing == {"catalogue.py", "recipes.py", "benches.py"}
