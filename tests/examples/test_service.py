"""The example service: streamed masks, errors as HTTP, a pool that gets its segmenters back."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fixtures.video_files import VideoRecipe, write_pictures
from maskcast.core.errors import DataError, DeviceMemoryError
from maskcast.core.segmenter import segment_video
from maskcast.data.synthetic.clips import make_clip
from maskcast.io.label_maps import write_label_map
from maskcast.io.rle import decode_mask

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
testclient = pytest.importorskip("starlette.testclient")

FOLDER = Path(__file__).parents[2] / "examples" / "service"
SIZE = (96, 160)


@pytest.fixture(scope="module")
def service() -> Iterator[ModuleType]:
    found = importlib.util.spec_from_file_location("service", FOLDER / "service.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASKCAST_DEVICE", "cpu")
        patch.setenv("MASKCAST_WAIT", "0.05")
        patch.setitem(sys.modules, "service", module)
        found.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def client(service) -> Iterator[Any]:
    with testclient.TestClient(service.app) as client:
        yield client


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> dict[str, Any]:
    """Files of a request: a video of three frames and its first mask."""
    made, folder = (
        make_clip(5, frames=3, size=SIZE, objects=(1, 1)),
        tmp_path_factory.mktemp("clip"),
    )
    write_pictures(folder / "video.mp4", list(made.frames), VideoRecipe(size=SIZE))
    write_label_map(folder / "mask.png", made.label_maps[0].astype(np.int32) * 7)
    return {
        "video": ("video.mp4", (folder / "video.mp4").read_bytes()),
        "masks": ("mask.png", (folder / "mask.png").read_bytes()),
    }


@pytest.fixture(autouse=True)
def segmenter_comes_back(service, client) -> Iterator[None]:
    """Check after each test that the pool has its segmenter again."""
    yield
    assert service.app.state.pool._free.qsize() == 1


def test_masks_are_streamed_for_one_request_after_the_other(client, clip):
    assert client.get("/health").json()["maskcast"]
    for _ in range(2):
        answer = client.post("/segment", files=clip)
        assert answer.status_code == 200, answer.text
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert [line["frame"] for line in lines] == [0, 1, 2]
        mask = decode_mask(lines[0]["objects"]["7"])
        assert mask.shape == SIZE and mask.any()


def test_boxes_are_prompts_too(client, clip):
    answer = client.post(
        "/segment", files={"video": clip["video"]}, data={"box": ["3:20,20,60,50"]}
    )
    assert answer.status_code == 200, answer.text
    assert set(json.loads(answer.text.splitlines()[-1])["objects"]) == {"3"}


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"masks": None}, 400, "give a mask or a box"),
        ({"video": ("../../v.mp4", b"no video")}, 422, "v.mp4"),
        ({"masks": ("mask.png", b"no picture")}, 422, "mask.png"),
    ],
)
def test_errors_have_a_status_and_a_sentence(client, clip, changes, *, status, words):
    files = {name: file for name, file in (clip | changes).items() if file}
    answer = client.post("/segment", files=files)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]
    assert "/video/" not in answer.text and "maskcast-" not in answer.text


def test_a_picture_that_is_given_as_video_is_named_without_its_folder(client, clip):
    answer = client.post("/segment", files=clip | {"video": ("p.png", clip["masks"][1])})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("p.png is an image")


def test_a_field_that_is_missing_is_an_error_like_others(client, clip):
    answer = client.post("/segment", files={"masks": clip["masks"]})
    assert answer.status_code == 422
    assert answer.json()["error"] == "the fields of the request are invalid"
    assert answer.json()["details"] == ["video: Field required"]


def test_when_all_segmenters_are_in_use_clients_are_asked_to_wait(client, service, clip):
    borrowed = service.app.state.pool.borrow()
    answer = client.post("/segment", files=clip)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "0")
    service.app.state.pool.give_back(borrowed)
    assert client.post("/segment", files=clip).status_code == 200


def test_uploads_have_a_limit(client, service, clip, monkeypatch):
    monkeypatch.setattr(service, "MOST_BYTES", 100)
    assert client.post("/segment", files=clip).status_code == 413


@pytest.mark.parametrize(
    ("error", "at", "status"),
    [(DeviceMemoryError, 0, 503), (DataError, 0, 422), (DataError, 2, 200)],
)
def test_an_error_of_a_frame_is_a_status_or_the_last_line(
    client, service, clip, monkeypatch, *, error, at, status
):
    def failing(*arguments: Any) -> Iterator[Any]:
        for index, masks in enumerate(segment_video(*arguments)):
            if index == at:
                raise error("this frame fails")
            yield masks

    monkeypatch.setattr(service.maskcast, "segment_video", failing, raising=False)
    answer = client.post("/segment", files=clip)
    assert answer.status_code == status
    assert json.loads(answer.text.splitlines()[-1])["error"] == "this frame fails"
