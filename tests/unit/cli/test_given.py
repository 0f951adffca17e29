"""Values on the command line."""

import click
import pytest

from polypool.cli.given import OptionalNumbers, names, size


@pytest.mark.parametrize(
    ("written", "count"),
    [("1000", 1_000), ("200M", 200_000_000), ("1.5g", 1_500_000_000), ("64KiB", 65_536), ("2 GB", 2_000_000_000)],
)
def test_a_size_is_read_in_the_units_it_is_written_in(written: str, count: int) -> None:
    assert size(written) == count


@pytest.mark.parametrize("written", ["", "M", "200X", "-5M", "1e9"])
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(click.BadParameter, match="write 200M"):
        size(written)


def test_names_come_apart_at_commas() -> None:
    assert names("fast, default,") == ("fast", "default")


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["x"], (None, ("x",))),
        (["--wait", "x"], (7.0, ("x",))),
        (["--wait", "2.5", "x"], (2.5, ("x",))),
        (["--wait=3", "x"], (3.0, ("x",))),
        (["x", "--wait"], (7.0, ("x",))),
        (["--wait", '["a"]', '{"b": 1}'], (7.0, ('["a"]', '{"b": 1}'))),
        ([], (None, ())),
    ],
)
def test_a_number_that_may_be_left_out_takes_no_other_word(words: list[str], read: tuple[object, ...]) -> None:
    @click.command(cls=OptionalNumbers)
    @click.option("--wait", type=float, is_flag=False, flag_value=7.0)
    @click.argument("rest", nargs=-1)
    def command(wait: float | None, rest: tuple[str, ...]) -> tuple[object, ...]:
        return wait, rest

    assert command.main(words, standalone_mode=False) == read
