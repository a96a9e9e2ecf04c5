"""Fuzz the reader of scores.json, and what shows scores."""

from __future__ import annotations

import json
from pathlib import Path

from evaluation.small_sets import davis2017, write_predictions
from fuzz.budget import Fuzz
from fuzz.mutations import damaged, resembling
from maskcast.cli.path_description import describe_path
from maskcast.cli.tables import print_scores
from maskcast.core.errors import DataError, MaskcastError
from maskcast.data.catalogue import DatasetChoice, protocol_of
from maskcast.evaluation.report import read_runs, write_report
from maskcast.evaluation.score_results import score_results
from maskcast.evaluation.scores import read_scores


def test_scores(fuzz: Fuzz, tmp_path: Path, capsys):
    root = davis2017(tmp_path / "set", {"ants": {1: 0, 3: 0}}, images=False)
    results = write_predictions(tmp_path / "p", {"ants": (1, 3)})
    choice = DatasetChoice(name="davis2017", root=root)
    run = tmp_path / "scores"
    score_results(choice, results, protocol_of("davis2017"), output=run, jobs=1)
    path = run / "scores.json"
    good = path.read_bytes()

    def is_shown_or_rejected(content: str | bytes) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            scores = read_scores(run)
        except DataError:
            return
        print_scores(scores)
        list(describe_path(run))
        try:
            write_report(read_runs([run]), tmp_path / "report.html")
        except MaskcastError:
            return

    fuzz(damaged([good]) | resembling([json.loads(good)]), is_shown_or_rejected)
    capsys.readouterr()
