"""What other systems lack is not needed to import or run anything here."""

from __future__ import annotations

import subprocess
import sys

IMPORT_ALL = """
import builtins, importlib, os, pkgutil, random
import maskcast

ordinary = builtins.__import__
missing = {"fcntl", "resource", "pwd", "grp", "termios"}

def import_(name, variables=None, *rest):
    importer = (variables or {}).get("__name__", "")
    if name.split(".")[0] in missing and importer.startswith("maskcast"):
        raise ModuleNotFoundError(f"No module named {name!r}")
    return ordinary(name, variables, *rest)

builtins.__import__ = import_
import lightning, torchvision  # they may use what they like
del os.sched_getaffinity, os.register_at_fork
names = [found.name for found in pkgutil.walk_packages(maskcast.__path__, "maskcast.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_every_module_can_be_imported_without_the_modules_of_unix():
    found = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 150
