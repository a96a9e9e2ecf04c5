"""The readers and sources on real training data, where it lies beside the checkout."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from maskcast.data.hold_outs import DAVIS_VALIDATION
from maskcast.data.readers.clip_folder import read_clip_folder
from maskcast.data.readers.image_pairs import read_image_pairs, read_photographs
from maskcast.data.static_clips import StaticClips
from maskcast.data.synthetic.clips import SyntheticClips
from maskcast.data.synthetic.cutouts import PairCutouts, objects_of
from maskcast.data.synthetic.scenes import PhotoScenes
from maskcast.methods.lwl.training.augmentation import process_clip
from maskcast.methods.lwl.training.clip_settings import ClipProcessing, ClipSampling
from maskcast.methods.lwl.training.mixture import MixedClips, Share
from maskcast.methods.lwl.training.video_clips import VideoClips

CHECKOUT = Path(__file__).parents[4]
ARCHIVES = Path(os.environ.get("MASKCAST_DATA", CHECKOUT.parent / "shared/data")) / "train"


def unpack(archive: str, folder: Path, *beginnings: str) -> Path:
    """Unpack what begins with one of these from an archive."""
    path = ARCHIVES / archive
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with tarfile.open(path) as files:
        for member in files:
            name = member.name.removeprefix("./")
            if member.isfile() and name.startswith(beginnings):
                files.extract(member, folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return read_clip_folder(unpack("davis16-train-1.tar", folder, "bear/", "boat/")).videos


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    unpack("mixed.tar", folder, "static/pets/", "backgrounds/img_00")
    return read_image_pairs(folder / "static/pets").videos, read_photographs(folder / "backgrounds")


def test_a_sequence_is_read_whole(videos):
    assert [video.name for video in videos] == ["bear", "boat"]
    for video in videos:
        assert video.size == (270, 480)
        assert video.annotated_frames == tuple(range(len(video.frame_names)))
        assert np.unique(video.read_annotation(0)).tolist() == [0, 1]
        assert video.read_frame(0).shape == (270, 480, 3)


@pytest.mark.parametrize("path", sorted(ARCHIVES.glob("*.tar")), ids=lambda path: path.stem)
def test_no_archive_holds_a_validation_video(path):
    with tarfile.open(path) as files:
        folders = {part for name in files.getnames() for part in Path(name).parts}
    assert not folders & set(DAVIS_VALIDATION)


def test_every_kind_of_source_makes_samples_of_the_real_data(videos, pictures):
    pets, photographs = pictures
    shares = [
        Share(VideoClips("davis", videos), 1.0),
        Share(StaticClips("pets", pets), 1.0),
        Share(SyntheticClips(cutouts=PairCutouts(pets), scenes=PhotoScenes(photographs)), 1.0),
    ]
    processing = ClipProcessing(size=(120, 208))
    clips = MixedClips(shares, length=10, epoch=0, seed=0, processing=processing)
    kinds = set()
    for index in range(len(clips)):
        sample = clips[index]
        kinds.add(sample.name.split("/")[0].split()[0])
        assert sample.images.shape == (4, 3, 120, 208)
        assert sample.masks.shape == (4, 120, 208)
        assert set(sample.masks.unique().tolist()) <= {0, 1}
    assert kinds == {"davis", "pets", "synthetic"}
    assert torch.equal(clips[3].images, clips[3].images)


@pytest.mark.parametrize(
    ("archive", "folder", "pictures", "count"),  # as the description of the data says
    [
        ("lookalike-instances", "static/mandarin", 172, 732),
        ("lookalike-instances", "static/pig", 154, 1144),
        ("lookalike-instances", "static/pills", 17, 50),
        ("coco-single-person", "static/coco_single_person", 700, 700),
    ],
)
def test_every_object_of_a_folder_of_pictures_is_listed(tmp_path, archive, folder, pictures, count):
    found = read_image_pairs(unpack(f"{archive}.tar", tmp_path, folder + "/") / folder).videos
    objects = objects_of(found, 0)
    assert len(found) == pictures and len(objects) == count
    assert max(each.object_id for each in objects) <= 20


def test_rendered_clips_show_objects_that_leave_and_return(tmp_path):
    names = ("video/render_ycb_003/", "video/render_ycb_015/")
    root = unpack("render3d-ycb.tar", tmp_path, *names) / "video"
    sampling = ClipSampling(absent=1.0, fewest_visible=3, distinct=True)
    clips = VideoClips("rendered", read_clip_folder(root).videos, sampling=sampling)
    assert len(clips) == 11
    shown = set()
    for seed in range(60):
        sample = process_clip(
            clips.draw(np.random.default_rng(seed), 4),
            ClipProcessing(size=(120, 208)),
            np.random.default_rng(seed),
        )
        shown.add("".join("av-"[value] for value in sample.visible.tolist()))
    assert any("va" in each for each in shown) and any("av" in each for each in shown)
