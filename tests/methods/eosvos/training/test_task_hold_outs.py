"""Which videos of YouTube-VOS make no tasks."""

from __future__ import annotations

import pytest

from fixtures.imitations import imitate_youtube_vos
from maskcast.core.errors import ConfigError
from maskcast.methods.eosvos.training.config import TaskDataConfig
from maskcast.methods.eosvos.training.tasks import open_tasks


@pytest.fixture
def youtube_vos(tmp_path):
    return imitate_youtube_vos(tmp_path / "data", videos=6, frames=2)


def names(opened):
    return {entry.video.name for entry in opened.training}


def test_two_hold_outs_are_drawn_and_always_the_same(youtube_vos):
    config = TaskDataConfig(youtube_vos=youtube_vos, youtube_vos_hold_outs=(1, 2))
    assert len(names(open_tasks(config))) == 3
    assert names(open_tasks(config)) == names(open_tasks(config))


def test_a_list_takes_the_place_of_the_draw(youtube_vos, tmp_path):
    (tmp_path / "list.txt").write_text("0000000004\n")
    config = TaskDataConfig(youtube_vos=youtube_vos, youtube_vos_held_out=tmp_path / "list.txt")
    assert names(open_tasks(config)) == {f"{number:010x}" for number in (0, 1, 2, 3, 5)}


def test_a_data_set_smaller_than_its_hold_outs_is_refused(youtube_vos):
    with pytest.raises(ConfigError, match="200 of 6"):
        open_tasks(TaskDataConfig(youtube_vos=youtube_vos))
