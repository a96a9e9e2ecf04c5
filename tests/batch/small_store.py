"""A batch whose manifest, videos and results are in an object store."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from batch.small_batch import Engines, write_video
from fixtures.batch_stand_in import make_source
from maskcast.batch.addresses import Url
from maskcast.batch.batch_run import BatchRequest, BatchResult, run_batch
from maskcast.batch.job import BatchSettings
from maskcast.batch.policy import BatchPolicy


class Bucket:
    """A folder of a store, as a test sees it."""

    def __init__(self, url: str) -> None:
        self.url = Url(url)
        core = importlib.import_module("fsspec.core")
        self.files, self.path = core.url_to_fs(url, use_listings_cache=False)

    def upload(self, folder: Path) -> None:
        """Upload a folder with all files in it."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(path.relative_to(folder).as_posix(), path.read_bytes())

    def write(self, name: str, content: bytes) -> None:
        self.files.pipe_file(f"{self.path}/{name}", content)

    def read(self, name: str) -> bytes:
        return self.files.cat_file(f"{self.path}/{name}")

    def names(self, folder: str = "") -> list[str]:
        """Names of all files in a folder."""
        start = f"{self.path}/{folder}".rstrip("/")
        found = self.files.find(start)
        return sorted(path.strip("/").removeprefix(start.strip("/")).strip("/") for path in found)

    def remove(self, name: str) -> None:
        self.files.rm(f"{self.path}/{name}", recursive=True)


def upload_clips(bucket: Bucket, folder: Path, names: str = "ab", **entries: Any) -> list[dict]:
    """Upload videos with masks, and return the rows of a manifest with relative paths."""
    rows = [write_video(folder, name, seed=seed) for seed, name in enumerate(names)]
    bucket.upload(folder)
    return [{**row, **entries} for row in rows]


def run_in_store(
    bucket: Bucket, rows: list[dict], scratch: Path, engines: Engines | None = None, **how: Any
) -> BatchResult:
    """Run a batch in this process, with the results in the folder ``out`` of the bucket."""
    scratch.mkdir(exist_ok=True)
    manifest = scratch.parent / "remote.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    request = BatchRequest(
        manifest=manifest,
        base=bucket.url,
        output=bucket.url.joined("out"),
        scratch=scratch,
        policy=BatchPolicy(attempts=how.pop("attempts", 3)),
        settings=BatchSettings(form=how.pop("form", "rle")),
        threads=1,
        **how,
    )
    return run_batch(request, make_source, make_engine=engines or Engines())
