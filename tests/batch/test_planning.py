"""Plans, shards, policies, and the archive of all results."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from pycocotools.mask import decode

from batch.small_batch import run_small, write_manifest, write_video
from maskcast.batch.collecting import collect
from maskcast.batch.planning import write_plan
from maskcast.batch.policy import most_failed, seconds_from
from maskcast.batch.shards import parse_shard
from maskcast.core.errors import DataError, MissingFileError, UsageError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_plan_finds_videos_and_the_masks_beside_them(tmp_path):
    touch(tmp_path / "clips", "a.mp4", "a.png", "b.MOV", "b_masks/00000.png", "none.mp4")
    touch(tmp_path / "clips/deep", "c.mkv", "masks/c_mask.npy", ".hidden.mp4")
    touch(tmp_path / "clips/frames", "00000.jpg", "00001.jpg")
    touch(tmp_path / "clips", "frames.png", "done/run.json", "done/00000.png", "done/00001.png")
    count, without = write_plan(tmp_path / "clips", tmp_path / "v.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert {row["id"]: (row["video"], row["masks"]) for row in rows} == {
        "a": ("clips/a.mp4", "clips/a.png"),
        "b": ("clips/b.MOV", "clips/b_masks"),
        "deep/c": ("clips/deep/c.mkv", "clips/deep/masks/c_mask.npy"),
        "frames": ("clips/frames", "clips/frames.png"),
    }
    assert count == 4
    assert without == [tmp_path / "clips" / "none.mp4"]


def test_a_link_to_a_folder_above_adds_nothing_to_a_plan(tmp_path):
    touch(tmp_path / "clips", "a.mp4", "a.png", "deep/b.mp4", "deep/b.png")
    (tmp_path / "clips" / "deep" / "back").symlink_to(tmp_path / "clips")
    assert write_plan(tmp_path / "clips", tmp_path / "v.jsonl") == (2, [])


def test_a_plan_of_nothing_says_so(tmp_path):
    touch(tmp_path, "a.mp4")
    with pytest.raises(DataError, match=r"no video in .* has masks beside it \(1 without\)"):
        write_plan(tmp_path, tmp_path / "v.jsonl")
    with pytest.raises(MissingFileError, match="does not exist"):
        write_plan(tmp_path / "none", tmp_path / "v.jsonl")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match=r"cannot open the folder .*loop: Too many levels"):
        write_plan(tmp_path / "loop", tmp_path / "v.jsonl")
    with pytest.raises(DataError, match="is a file; give a folder of videos"):
        write_plan(tmp_path / "a.mp4", tmp_path / "v.jsonl")
    with pytest.raises(DataError, match=r"must be \.jsonl files"):
        write_plan(tmp_path, tmp_path / "v.csv")


def test_shards_come_from_text_or_the_environment(monkeypatch):
    assert parse_shard("2/3") == (2, 3)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "7")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    assert parse_shard("slurm/64") == (7, 64)
    assert parse_shard("kubernetes/2") == (1, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", "must be INDEX/COUNT"),
        ("a/3", "must be INDEX/COUNT"),
        ("1/0", "must be INDEX/COUNT"),
        ("-1/3", "must be INDEX/COUNT"),
        ("3/3", "shard 3 does not exist"),
        ("slurm/4", "needs the environment variable SLURM_ARRAY_TASK_ID"),
    ],
)
def test_other_shards_are_rejected(text, words, monkeypatch):
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    with pytest.raises(UsageError, match=words):
        parse_shard(text)


def test_limits_are_read_from_text():
    assert [seconds_from(t, "stall") for t in ("90", "1.5s", "5m", "2h")] == [90, 1.5, 300, 7200]
    assert (most_failed("7", 10), most_failed("5%", 1000), most_failed("5%", 10)) == (7, 50, 20)
    for text in ("", "5 d", "0", "-1s", "nan"):
        with pytest.raises(UsageError, match="stall must be a time"):
            seconds_from(text, "stall")
    for text in ("", "5", "x%", "101%", "-1"):
        if text != "5":
            with pytest.raises(UsageError, match="max_failed must be"):
                most_failed(text, 10)


def test_all_forms_are_collected_alike(tmp_path):
    rows = [write_video(tmp_path, name, seed=i) for i, name in enumerate("ab")]
    manifest = write_manifest(tmp_path, rows[0], {**rows[1], "id": "deep/b"})
    for form in ("png", "rle", "zip"):
        run_small(manifest, tmp_path / form, settings={"form": form})
        assert collect(tmp_path / form, tmp_path / f"{form}-pngs") == 2
        collect(tmp_path / form, tmp_path / f"{form}.tar")
    pngs = sorted((tmp_path / "png-pngs").rglob("*.png"))
    assert len(pngs) == 12
    for path in pngs:
        for form in ("rle", "zip"):
            other = tmp_path / f"{form}-pngs" / path.relative_to(tmp_path / "png-pngs")
            assert other.read_bytes() == path.read_bytes()
    assert not list((tmp_path / "zip" / "videos").rglob("*.png"))
    assert (tmp_path / "zip" / "videos" / "deep" / "b" / "masks.zip").is_file()
    with tarfile.open(tmp_path / "rle.tar") as archive:
        assert sorted(archive.getnames()) == sorted(
            f"{video}/{name}"
            for video in ("a", "deep/b")
            for name in ("frames.jsonl", "job.json", "masks.jsonl.gz", "run.json")
        )
    with pytest.raises(UsageError, match="is not empty"):
        collect(tmp_path / "png", tmp_path / "png-pngs")
    with pytest.raises(UsageError, match=r"choose a folder, a \.tar or a \.parquet file"):
        collect(tmp_path / "png", tmp_path / "masks.zip")
    with pytest.raises(MissingFileError, match="no finished videos"):
        collect(tmp_path / "none", tmp_path / "x")


@pytest.mark.slow  # only with the extra
def test_a_table_has_every_mask_of_every_form(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [write_video(tmp_path, name, seed=i) for i, name in enumerate("ab")]
    manifest = write_manifest(tmp_path, rows[0], {**rows[1], "id": "deep/b"})
    tables = []
    for form in ("png", "rle", "zip"):
        run_small(manifest, tmp_path / form, settings={"form": form})
        assert collect(tmp_path / form, tmp_path / f"{form}.parquet") == 2
        tables.append(parquet.read_table(tmp_path / f"{form}.parquet").to_pylist())
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) == 12
    for row in tables[0]:
        path = tmp_path / "png" / "videos" / row["id"] / f"{row['name']}.png"
        label_map = np.asarray(Image.open(path))
        for entry in row["objects"]:
            mask = decode({"size": [row["height"], row["width"]], "counts": entry["counts"]})
            assert np.array_equal(mask == 1, label_map == entry["id"])
            assert 0 < entry["confidence"] <= 1
