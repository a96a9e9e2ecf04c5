"""Cut-outs, mattes, green screens and effects show the objects that were chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from contract.coloured_video import SIZE, frames, true_mask
from maskcast.core.errors import UsageError
from maskcast.core.types import ObjectMasks
from maskcast.io.video.source import FrameSource, open_frames
from maskcast.runs.export_settings import Exports
from maskcast.runs.exports import export
from maskcast.runs.folder import RunFolder
from maskcast.runs.objects import ObjectLook, write_objects
from maskcast.runs.opening import open_run
from maskcast.runs.request import RunRequest
from maskcast.viz.cut_outs import GREEN

COUNT = 4
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def source(tmp_path) -> FrameSource:
    (tmp_path / "ride").mkdir()
    for frame_index, frame in enumerate(frames(COUNT)):
        pixels = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        path = tmp_path / "ride" / f"{frame_index:05d}.png"
        Image.fromarray(pixels).save(path, icc_profile=PROFILE)
    return open_frames(tmp_path / "ride")


@pytest.fixture
def run(tmp_path, source) -> RunFolder:
    request = RunRequest(
        method="none",
        weights="none",
        weights_sha256="",
        input="ride",
        input_sha256="",
        prompts={"0:1": "mask a", "0:2": "mask b"},
    )
    folder = open_run(tmp_path / "run", request, frame_name=source.names.__getitem__)
    for frame_index in range(COUNT):
        probs = torch.zeros(2, *SIZE)
        probs[0, true_mask(1, frame_index)] = 0.75
        probs[1, true_mask(2, frame_index)] = 1.0
        folder.write_frame(frame_index, ObjectMasks((1, 2), probs))
    folder.update(status="finished", frames=COUNT)
    return folder


def alpha_in(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "00002.png")).astype(float)[..., -1] / 255


def test_edges_grow_shrink_and_are_feathered(run, source):
    wanted = {"cutout": ("png",), "objects": "1"}
    (hard,) = export(run, source, Exports(**wanted))
    (grown,) = export(run, source, Exports(**wanted, grow=1))
    (feathered,) = export(run, source, Exports(**wanted, feather=1))
    assert alpha_in(grown).sum() > alpha_in(hard).sum()
    between = alpha_in(feathered)
    assert ((between > 0.1) & (between < 0.9)).any()
    (refined,) = export(run, source, Exports(**wanted, edges="refined"))
    assert refined.name == "cutout-1-refined"
    assert np.abs(alpha_in(refined) - alpha_in(hard)).mean() < 0.1


def test_soft_edges_are_the_probabilities(run, source):
    wanted = Exports(matte=("png16",), edges="soft", objects="1")
    with pytest.raises(UsageError, match="soft edges need probabilities, which this run has not"):
        export(run, source, wanted)
    run.adopt(replace(run.card.request, settings={"probabilities": True}))
    for frame_index in range(COUNT):
        probs = torch.zeros(2, *SIZE)
        probs[0, true_mask(1, frame_index)] = 0.75
        run.write_frame(frame_index, ObjectMasks((1, 2), probs), probabilities=True)
    (folder,) = export(run, source, wanted)
    matte = np.asarray(Image.open(folder / "00002.png"))
    np.testing.assert_array_equal(matte, np.rint(0.75 * 65535) * inside(1, 2))


def inside(object_id: int, frame_index: int) -> np.ndarray:
    return true_mask(object_id, frame_index).numpy()


def decoded(path: Path, layout: str) -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format=layout) for frame in container.decode(video=0)]


def test_each_object_has_its_own_cut_outs(run, source):
    write_objects(run.path, {2: ObjectLook(name="a ball")})
    made = export(run, source, Exports(cutout=("png", "prores"), objects="all"))
    names = ["cutout-1", "cutout-2-a_ball", "cutout-1.mov", "cutout-2-a_ball.mov"]
    assert [path.name for path in made] == names
    for object_id, folder, video in zip((1, 2), made[:2], made[2:], strict=True):
        alpha = np.asarray(Image.open(folder / "00003.png"))[..., 3]
        np.testing.assert_array_equal(alpha, 255 * inside(object_id, 3))
        assert np.abs(decoded(video, "rgba")[3][..., 3].astype(int) - alpha).max() <= 1


def test_cut_outs_keep_the_colour_profile_of_the_frames(run, source):
    (folder,) = export(run, source, Exports(cutout=("png",)))
    assert Image.open(folder / "00000.png").info["icc_profile"] == PROFILE


def test_pictures_are_numbered_from_a_start_number(run, source):
    wanted = Exports(cutout=("png", "exr"), matte=("png",), start_number=1001)
    for folder, suffix in zip(export(run, source, wanted), (".png", ".exr", ".png"), strict=True):
        assert sorted(path.name for path in folder.iterdir()) == [
            f"{number}{suffix}" for number in range(1001, 1001 + COUNT)
        ]


def test_mattes_are_white_where_the_objects_are(run, source):
    forms = ("png", "png16", "h264", "prores", "ffv1")
    eight, sixteen, *videos = export(run, source, Exports(matte=forms))
    both = inside(1, 2) | inside(2, 2)
    picture = Image.open(eight / "00002.png")
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture), 255 * both)
    picture = Image.open(sixteen / "00002.png")
    assert picture.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(picture), 65535 * both)
    for path, slack in zip(videos, (0.03, 0.01, 0), strict=True):
        matte = decoded(path, "gray16le")[2][: SIZE[0], : SIZE[1]] / 65535
        assert np.abs(matte - both).mean() <= slack


def test_exr_is_linear_light_with_straight_alpha(run, source):
    (folder,) = export(run, source, Exports(cutout=("exr",), objects="1"))
    decoder = av.CodecContext.create("exr", "r")
    packet = av.Packet((folder / "00001.exr").read_bytes())
    (frame,) = [*decoder.decode(packet), *decoder.decode(None)]
    assert frame.format.name == "gbrapf16le"
    planes = [np.frombuffer(plane, np.float16) for plane in frame.planes]
    width = frame.planes[0].line_size // 2
    green, blue, red, alpha = (plane.reshape(-1, width)[: SIZE[0], : SIZE[1]] for plane in planes)
    where = inside(1, 1)
    np.testing.assert_array_equal(alpha, where)
    pixel = source.picture(1)[where][0] / 255
    expected = np.where(pixel <= 0.04045, pixel / 12.92, ((pixel + 0.055) / 1.055) ** 2.4)
    found = [channel[where][0] for channel in (red, green, blue)]
    np.testing.assert_allclose(found, expected, atol=0.001)


def test_green_screens_and_effects(run, source):
    wanted = Exports(
        green_screen=("prores",), effect=("black", "black-background", "pixelate"), objects="1"
    )
    screen, black, background, pixelated = export(run, source, wanted)
    assert [path.name for path in (screen, black)] == ["green-screen-1.mov", "black-1.mp4"]
    where, original = inside(1, 2), source.picture(2).astype(int)
    shown = [decoded(path, "rgb24")[2].astype(int) for path in (screen, black, background)]
    assert np.abs(shown[0][~where] - GREEN).mean() < 3
    assert np.abs(shown[0][where] - original[where]).mean() < 3
    assert shown[1][where].mean() < 30  # H.264 stores colours at half the resolution
    assert np.abs(shown[1][~where] - original[~where]).mean() < 8
    assert shown[2][~where].mean() < 15
    assert np.abs(shown[2][where] - original[where]).mean() < 35
    assert pixelated.is_file()
