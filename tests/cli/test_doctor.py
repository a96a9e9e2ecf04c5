"""``maskcast doctor`` names what is installed, and says what does not work."""

from __future__ import annotations

import shutil
from importlib.metadata import metadata

import pytest

from maskcast.cli import installation
from maskcast.cli.installation import examine
from maskcast.io.weights import names


def found() -> dict[str, tuple[str, str]]:
    return {check.name: (check.level, check.detail) for check in examine()}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_versions_devices_codecs_folders_and_weights_are_named(maskcast):
    outcome = maskcast("doctor")
    assert outcome.exit_code == 0, outcome.output
    lines = {line[5:].split()[0] for line in outcome.output.splitlines()}
    assert {"maskcast", "Python", "torch", "av", "cpu", "videos,", "lwl-small"} <= lines
    assert "libx264" in outcome.output and "h264" in outcome.output


def test_an_old_and_a_missing_package_fail(maskcast, monkeypatch):
    asked = ["torch>=99.1", "no-such-package>=1", 'lightning>=99; extra == "train"']
    monkeypatch.setattr(installation, "requires", lambda _: asked)
    outcome = maskcast("doctor")
    assert outcome.exit_code == 3
    assert "maskcast needs 99.1 or newer" in outcome.output
    assert "FAIL no-such-package  not installed" in outcome.output
    assert outcome.error == (
        "maskcast: 2 of the checks failed; see the lines that begin with FAIL\n"
    )


def test_versions_are_compared_as_numbers():
    assert installation._numbers("2.10.1+cpu") > installation._numbers("2.9")
    assert installation._numbers("2.11rc1") == (2, 11)


def test_missing_extras_and_codecs_are_notes(monkeypatch):
    monkeypatch.setattr(installation, "EXTRAS", {"app": ("starlette", "no-such-package")})
    monkeypatch.setattr(installation, "encoders", lambda: {"libx264": True, "prores_ks": False})
    checks = found()
    assert checks["extra app"] == ("note", "not installed: no-such-package")
    assert checks["videos, write"] == ("note", "missing in PyAV: prores_ks")


def test_every_extra_for_users_is_examined():
    extras = set(metadata("maskcast").get_all("Provides-Extra") or [])
    assert installation.EXTRAS.keys() == extras - {"dev", "docs"}


def test_weights_that_have_changed_since_they_were_installed_fail(cache):
    cache.mkdir()
    shutil.copy(names.SHIPPED / "lwl-small.safetensors", cache / "own.safetensors")
    (cache / "own.json").write_text('{"sha256": "' + 64 * "0" + '"}')
    level, text = found()["own"]
    assert level == "FAIL" and "have changed since they were installed" in text


def test_a_folder_that_cannot_be_written_is_a_note(cache, monkeypatch):
    cache.write_text("a file where the folder should be")
    level, text = found()["weights cache"]
    assert level == "note" and "is a file" in text


def test_the_frame_cache_of_the_app_is_named(cache):
    level, text = found()["frames of app"]
    assert level in ("ok", "note") and text.startswith(f"{cache / 'frames'}, ")


def test_a_gpu_that_cannot_compute_fails(monkeypatch):
    def out_of_order(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(installation.torch, "ones", out_of_order)
    check = installation._gpu(installation.torch.device("mps"))
    assert check == ("FAIL", "mps", "mps cannot compute: no kernel image is available")


def test_a_driver_without_a_build_for_it_is_a_note(monkeypatch):
    monkeypatch.setattr(installation.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(installation.torch.version, "cuda", None)
    check = installation._without_cuda()
    assert check.level == "note" and "built without CUDA" in check.detail
