"""An input that changed is told from one that did not."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
import torch

from maskcast.core.errors import MissingFileError
from maskcast.core.types import ABSENT, Box
from maskcast.runs import fingerprint as module
from maskcast.runs.fingerprint import fingerprint, prompt_fingerprints


def test_a_file_is_hashed_as_a_whole(tmp_path):
    (tmp_path / "video.mp4").write_bytes(b"abc" * 1000)
    assert fingerprint(tmp_path / "video.mp4") == hashlib.sha256(b"abc" * 1000).hexdigest()


def test_of_a_large_file_pieces_and_the_size_count(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 1000)
    monkeypatch.setattr(module, "PIECE", 10)
    monkeypatch.setattr(module, "PIECES", 4)
    path = tmp_path / "video.mp4"
    content = bytearray(2000)
    path.write_bytes(content)
    before = fingerprint(path)
    for position in (0, 1999):
        changed = content.copy()
        changed[position] = 1
        path.write_bytes(changed)
        assert fingerprint(path) != before
    path.write_bytes(content + b"\0")
    assert fingerprint(path) != before


def test_names_and_contents_of_a_folder_count(tmp_path):
    (tmp_path / "1.png").write_bytes(b"one")
    (tmp_path / "2.png").write_bytes(b"two")
    before = fingerprint(tmp_path)
    (tmp_path / "2.png").rename(tmp_path / "3.png")
    renamed = fingerprint(tmp_path)
    (tmp_path / "3.png").write_bytes(b"owt")
    assert len({before, renamed, fingerprint(tmp_path)}) == 3


def test_files_that_are_no_frames_do_not_count(tmp_path):
    (tmp_path / "1.PNG").write_bytes(b"one")
    before = fingerprint(tmp_path)
    for other in (".DS_Store", "._1.PNG", "1.json", "notes.txt"):
        (tmp_path / other).write_bytes(b"other")
    assert fingerprint(tmp_path) == before


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="neither a video file nor a folder"):
        fingerprint(tmp_path / "none.mp4")


def test_prompts_are_told_apart_by_every_pixel_and_number():
    mask = torch.zeros(4, 5, dtype=torch.bool)
    other = mask.clone()
    mask[1, 2] = other[2, 1] = True
    masks = [{3: {7: prompt}} for prompt in (mask, other, mask.view(5, 4), Box(1.0, 2.0, 3.0, 4.5))]
    found = [prompt_fingerprints(given)["3:7"] for given in masks]
    assert len(set(found)) == 4
    assert found[3] == "box 1.0,2.0,3.0,4.5"


def test_a_mark_of_absence_is_a_prompt_of_its_own():
    assert prompt_fingerprints({3: {7: ABSENT}}) == {"3:7": "absent"}


def test_a_mask_has_the_same_fingerprint_as_tensor_and_as_array():
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[1, 2] = True
    for given in (mask, mask.T):
        array = prompt_fingerprints({0: {1: given.numpy()}})
        assert array == prompt_fingerprints({0: {1: given}})


def test_a_server_without_torch_can_take_fingerprints():
    code = "import sys, maskcast.runs.fingerprint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
