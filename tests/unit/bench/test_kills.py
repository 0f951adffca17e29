"""How the kills are set against what the runs wrote down."""

from pathlib import Path

import pytest

from bench.diary import Run, read
from bench.kills import reckon
from bench.reading import CannotMeasure
from polypool import TaskLost

KILLED, ALIVE = 10, 20


def test_a_run_that_a_kill_cut_and_its_rerun_cancel_out() -> None:
    toll = reckon([0], [Run(0, KILLED, 1.0), Run(0, ALIVE, 2.0, 3.0)], {KILLED}, kills=1)
    assert (toll.well, toll.runs, toll.cut, toll.unwritten, toll.unexplained) == (1, 2, 1, 0, 0)


def test_a_run_whose_end_was_not_yet_written_counts_as_cut_too() -> None:
    toll = reckon([0], [Run(0, KILLED, 1.0, 1.5), Run(0, ALIVE, 2.0, 3.0)], {KILLED}, kills=1)
    assert (toll.cut, toll.unwritten, toll.unexplained) == (0, 1, 0)


def test_a_rerun_without_a_kill_is_told_as_unexplained() -> None:
    toll = reckon([0], [Run(0, ALIVE, 1.0, 1.5), Run(0, ALIVE, 2.0, 3.0)], {KILLED}, kills=1)
    assert toll.unexplained == 1


def test_a_dead_letter_is_an_end_but_no_good_one() -> None:
    toll = reckon([TaskLost("died thrice")], [Run(0, KILLED, 1.0)], {KILLED}, kills=3)
    assert (toll.well, toll.dead) == (0, 1)


def test_a_task_that_ended_with_somebody_elses_value_cannot_be_reckoned() -> None:
    with pytest.raises(CannotMeasure, match="ended otherwise"):
        reckon([7], [Run(0, ALIVE, 1.0, 2.0)], set(), kills=0)


def test_the_diary_of_a_killed_process_shows_a_run_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "diary"
    path.write_text("began 5 aa 10 1.0\nbegan 5 bb 20 2.0\nended 5 bb 20 3.5\n", encoding="ascii")
    assert read(path) == [Run(5, 10, 1.0), Run(5, 20, 2.0, 3.5)]
