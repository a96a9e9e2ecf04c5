"""``maskcast weights`` and ``maskcast info`` on things that are there and things that are not."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import zlib

import numpy as np
import pytest
import torch

from cli.conftest import write_mask
from maskcast.io.label_maps import encode_label_map
from maskcast.io.mask_lines import pack_frame
from maskcast.io.packed_masks import write_mask_zip
from maskcast.io.weights.files import write_weights


@pytest.fixture
def installed(clip):
    """The clip's weights, in the cache."""
    (clip / "cache").mkdir()
    shutil.copy(clip / "colours.safetensors", clip / "cache" / "mine.safetensors")
    return clip


def test_the_list_names_what_is_here_and_what_could_be_had(installed, maskcast):
    outcome = maskcast("weights", "list")
    assert outcome.exit_code == 0
    assert "mine  colours, 0.0 MB" in outcome.output
    assert "lwl-ytvos  lwl, lwl_stage2.pth" in outcome.output
    assert "from https://github.com/visionml/pytracking" in outcome.output
    assert (
        "SOURCE is a file, an address (http or https), a Google Drive id, or a name"
        in outcome.output
    )


def test_verify_reads_weights_in_full(installed, maskcast):
    outcome = maskcast("weights", "verify", "mine")
    assert outcome.output.startswith("mine is intact, sha256 ")
    path = installed / "cache" / "mine.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    maskcast("weights", "verify", "mine").assert_one_sentence(3, "damaged")
    maskcast("weights", "verify", "yours").assert_one_sentence(3, "no weights named 'yours'")


def test_import_refuses_what_is_no_checkpoint(clip, maskcast):
    outcome = maskcast("weights", "import", "first.png")
    assert outcome.exit_code == 3
    assert "first.png" in outcome.error
    assert "Traceback" not in outcome.error
    maskcast("weights", "import", "none.pth").assert_one_sentence(
        3, "none.pth is neither an existing file"
    )


def test_export_refuses_what_authors_could_not_read(installed, maskcast):
    outcome = maskcast("weights", "export", "mine", "-o", "mine.pth")
    outcome.assert_one_sentence(3, "cannot export weights of colours")
    assert not (installed / "mine.pth").exists()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("video", ["12 pictures", "32×24"]),
        ("first.png", ["indexed", "ids 1 (49 pixels), 2 (49 pixels)"]),
        ("masks", ["00003.png", "id 1 (49 pixels)"]),
        ("./colours.safetensors", ["method    colours", "licence   none needed"]),
        ("mine", ["method    colours", "sha256"]),
        (
            "colours",
            [
                "a stand-in",
                "weights   mine\n",
                "sharpness",
                "40.0",
                "How strictly colours are kept apart.",
            ],
        ),
        ("lwl", ["ECCV 2020", "published lwl-ytvos", "learner.update_steps"]),
        ("lwl-ytvos", ["not installed", "lwl_stage2.pth", "licence"]),
        ("lwl-small", ["method    lwl"]),
    ],
)
def test_info_says_what_it_is(what, words, installed, maskcast):
    (installed / "masks").mkdir()
    write_mask(installed / "masks" / "00003.png", 3, (1,))
    outcome = maskcast("info", what)
    assert outcome.exit_code == 0, outcome.error
    for word in words:
        assert word in outcome.output


@pytest.mark.parametrize("what", ["run", "run/masks.jsonl.gz", "run/masks.zip"])
def test_info_describes_files_with_all_masks_of_a_video(what, installed, maskcast):
    label_map = np.array([[0, 2, 2]], np.int32)
    (installed / "run").mkdir()
    lines = pack_frame(0, "00000", label_map, {}).line()
    (installed / "run" / "masks.jsonl.gz").write_bytes(gzip.compress(lines))
    frames = [("00000", encode_label_map(label_map))]
    write_mask_zip(installed / "run" / "masks.zip", frames)
    kind = "PNG" if what.endswith("zip") else "RLE"
    assert maskcast("info", what).output == f"00000: {kind}, 3×1, id 2 (2 pixels)\n"


def test_info_on_a_run_shows_its_card(segment, maskcast):
    segment()
    output = maskcast("info", "out").output
    assert "resumed_from    0" in output
    assert "status          finished" in output
    assert "deterministic: false" in output
    assert "seconds         decode: " in output


def test_info_on_a_training_run_names_its_recipe(clip, maskcast):
    request = {"recipe": "lwl-small", "config": {}, "start_from": "ab12"}
    (clip / "run").mkdir()
    (clip / "run" / "config.json").write_text(json.dumps(request))
    output = maskcast("info", "run").output
    assert "training  of lwl-small from weights of SHA-256 ab12" in output


def test_info_on_nothing_known_says_what_there_is(clip, maskcast):
    maskcast("info", "lwll").assert_one_sentence(3, "lwll is not a file or a method (lwl")
    maskcast("info", "none/here").assert_one_sentence(3, "none/here does not exist")


def test_info_on_what_is_damaged_is_one_sentence(segment, maskcast, clip):
    segment()
    (clip / "out" / "run.json").write_text("{")
    maskcast("info", "out").assert_one_sentence(3, "out/run.json is not a run card")
    maskcast("info", "/dev/null").assert_one_sentence(3, "/dev/null is not a regular file")
    (clip / "odd").mkdir()
    header = b"\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(header[4:]))
    (clip / "odd" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + check + b"\0\0\0\0IDAT")
    maskcast("info", "odd").assert_one_sentence(3, "decompression bomb")


def test_info_on_a_checkpoint_says_how_to_install_it(maskcast, clip):
    (clip / "lwl_stage2.pth").write_bytes(b"")
    outcome = maskcast("info", "lwl_stage2.pth")
    assert "maskcast weights import lwl_stage2.pth" in outcome.output


def test_text_inside_weights_cannot_drive_the_terminal(clip, maskcast):
    write_weights(
        clip / "cache" / "odd.safetensors",
        method="lwl",
        config={},
        tensors={"a": torch.zeros(1)},
        card={"licence": "\x1b]0;owned\x07\x1b[2J of 2026\nand more"},
    )
    for arguments in (["info", "odd"], ["weights", "list"]):
        outcome = maskcast(*arguments)
        assert outcome.exit_code == 0, outcome.error
        assert r"\x1b]0;owned\x07\x1b[2J of 2026 and more" in outcome.output
        assert "\x1b" not in outcome.output


def test_the_list_marks_the_default_weights(maskcast):
    lines = maskcast("weights", "list").output.splitlines()
    marked = [line.split()[0] for line in lines if line.endswith(", default")]
    assert marked == ["lwl-small"]
