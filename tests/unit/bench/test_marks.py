"""What tasks mark and what is read of it."""

from pathlib import Path

import pytest

from bench import marks


def test_marks_tell_how_many_ended_and_between_which_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(marks.FOLDER, str(tmp_path))
    written = marks.Marks()
    written.began()
    for _ in range(3):
        written.ended()
    seen = marks.seen(tmp_path)
    assert seen.count == 3
    assert 0 < seen.began <= seen.first_end <= seen.last_end


def test_the_marks_of_several_processes_are_summed_up(tmp_path: Path) -> None:
    (tmp_path / "marks.1").write_bytes(marks.SHAPE.pack(2, 10.0, 11.0, 15.0))
    (tmp_path / "marks.2").write_bytes(marks.SHAPE.pack(3, 0.0, 10.5, 14.0))
    assert marks.seen(tmp_path) == marks.Seen(5, 10.0, 10.5, 15.0)


def test_a_file_that_is_just_being_made_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "marks.1").touch()
    assert marks.seen(tmp_path) == marks.Seen()
