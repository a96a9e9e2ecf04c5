"""``batch.json``: the settings that all videos of a batch share. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from maskcast.batch.layout import BATCH, SHARDS
from maskcast.batch.manifest import Manifest
from maskcast.core.errors import DataError
from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.request import changed_entries, claim

FORMAT = 1
"""Format of the file and of the folder of a batch."""


def read_batch_file(output: Path) -> dict[str, Any] | None:
    """Return the settings of the batch in a folder; None if it has none.

    Raises:
        RunConflictError: the folder holds other files.
        DataError: the file is damaged, or was written by another version.
    """
    path = output / BATCH
    if not path.is_file():
        _reject_other_files(output)
        return None
    try:
        content = read_json(path)
        settings = {**content["settings"]}
        if content["format"] != FORMAT or type(settings["threads"]) is not int:
            raise ValueError
    except (LookupError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not a batch of this version") from error
    return settings


def check_agreement(output: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ``RunConflictError`` if settings differ from those of the batch in the folder."""
    claim(
        output,
        list(changed_entries(before, now, kind="setting")),
        kind="batch",
        instead="choose another folder, or the same settings",
        options=("output",),
    )


def write_batch_file(output: Path, manifest: Manifest, settings: Mapping[str, Any]) -> None:
    """Write the file. Raises ``OutputError``."""
    content = {
        "format": FORMAT,
        "maskcast": version("maskcast"),
        "manifest": {
            "name": manifest.name,
            "sha256": manifest.sha256,
            "rows": manifest.total_rows,
        },
        "settings": settings,
    }
    write_text(output / BATCH, json.dumps(content, indent=2) + "\n", sync=True)


def _reject_other_files(output: Path) -> None:
    names = [path.name for path in output.iterdir()] if output.is_dir() else []
    is_used = any(name != SHARDS and not name.startswith(".") for name in names)
    if is_used and not (output / BATCH).is_file():  # another shard may just have written it
        claim(output, None, kind="batch", instead="choose another folder", options=("output",))
