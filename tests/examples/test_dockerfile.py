"""The Dockerfile of the example service follows the rules that linters of Dockerfiles check."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "examples" / "service" / "Dockerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction, with continued lines joined."""
    lines = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def arguments_of(keyword: str) -> list[str]:
    return [rest for word, rest in instructions() if word == keyword]


def test_instructions_are_known_and_begin_with_the_base_image():
    known = {"FROM", "ARG", "RUN", "WORKDIR", "COPY", "USER", "ENV", "EXPOSE", "HEALTHCHECK", "CMD"}
    words = [word for word, _ in instructions()]
    assert words[0] == "FROM" and set(words) <= known
    assert words.count("CMD") == words.count("HEALTHCHECK") == 1 and words[-1] == "CMD"


def test_the_base_image_has_a_tag_that_is_not_the_latest():
    (image,) = arguments_of("FROM")
    assert re.fullmatch(r"[\w./-]+:[\w.-]+", image) and not image.endswith(":latest")


def test_the_service_does_not_run_as_root():
    words = [word for word, _ in instructions()]
    assert arguments_of("USER") == ["1000"]
    assert max(i for i, word in enumerate(words) if word == "RUN") < words.index("USER")


def test_folders_are_absolute_and_files_exist():
    assert all(folder.startswith("/") for folder in arguments_of("WORKDIR"))
    for rest in arguments_of("COPY"):
        *sources, target = rest.split()
        assert target.startswith("/")
        assert all((ROOT / source).exists() for source in sources), rest


def test_commands_are_lists_and_pip_keeps_no_cache():
    for rest in (*arguments_of("CMD"), arguments_of("HEALTHCHECK")[0].removeprefix("CMD ")):
        assert all(isinstance(word, str) for word in json.loads(rest))
    for rest in arguments_of("RUN"):
        assert "sudo" not in rest and "apt-get" not in rest
        assert "pip install" not in rest or "--no-cache-dir" in rest
