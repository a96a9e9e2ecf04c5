"""Training runs without PyAV: only video files need it."""

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys
sys.modules["av"] = None  # importing it fails
import maskcast.io
for module in pkgutil.iter_modules(maskcast.io.__path__):
    if module.name not in ("video_file", "video_writer"):
        importlib.import_module(f"maskcast.io.{module.name}")
"""


def test_only_video_files_need_pyav():
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=120)
