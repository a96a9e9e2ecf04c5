"""Training runs without PyAV: only video files need it."""

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys
sys.modules["av"] = None  # importing it fails
import maskcast.io
names = ("codecs", "container", "file", "index", "joining", "sound", "tags", "writer")
need_pyav = {f"maskcast.io.video.{name}" for name in names}
for module in pkgutil.walk_packages(maskcast.io.__path__, "maskcast.io."):
    if module.name not in need_pyav | {"maskcast.io.exr"}:
        importlib.import_module(module.name)
"""


def test_only_video_files_need_pyav():
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=120)
