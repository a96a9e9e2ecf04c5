"""Names of the files and folders of a batch; docs/batch.md describes them. Imports nothing."""

from __future__ import annotations

BATCH = "batch.json"
JOURNAL = "journal"
VIDEOS = "videos"
WORK = "work"
"""Folder of unfinished videos, unless another one is chosen."""
RUN = "run"
"""Folder in the work folder of a video: its run folder."""
JOB = "job.json"
"""What a video's results were made from; in its work folder and beside its run card."""
SHARDS = "shards"
"""Folder of the locks, one per shard."""
LOGS = "logs"
FAILURES = "failures.jsonl"
RESULTS = "results.csv"
REPORT = "report.html"
