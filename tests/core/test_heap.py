"""The heap keeps what was freed: seen in the page faults of a process of its own."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys

import pytest

from maskcast.core.heap import OF_THE_USER, quick_imports

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")

PROBE = """
import ctypes, resource
from maskcast.core.heap import keep_freed_memory

print(keep_freed_memory())
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
    ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
)

def use_and_free():
    blocks = [libc.malloc(2**20) for _ in range(64)]
    for block in blocks:
        ctypes.memset(block, 1, 2**20)
    for block in blocks:
        libc.free(block)

use_and_free()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use_and_free()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _probe(**environment: str) -> tuple[str, int]:
    own = {name: text for name, text in os.environ.items() if name not in OF_THE_USER}
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=own | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    is_set, faults = done.stdout.split()
    return is_set, int(faults)


@needs_glibc
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    is_set, faults = _probe()
    assert is_set == "True"
    assert faults < 1000  # of 5 · 64 MiB in pages of 4 KiB: 81,920 if they were given back


@needs_glibc
def test_settings_of_the_user_come_first() -> None:
    is_set, faults = _probe(MALLOC_TRIM_THRESHOLD_="1048576")
    assert is_set == "False"
    assert faults > 10_000


def test_nothing_is_collected_while_modules_are_loaded() -> None:
    before = gc.get_freeze_count()
    with quick_imports():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == before  # torch had been loaded


def test_what_was_loaded_with_torch_is_not_traversed_again(monkeypatch) -> None:
    loaded = sys.modules["torch"]
    monkeypatch.delitem(sys.modules, "torch")
    try:
        with quick_imports():
            monkeypatch.setitem(sys.modules, "torch", loaded)
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def test_collection_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with quick_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
