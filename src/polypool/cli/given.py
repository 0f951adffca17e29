"""What can be given on a command line: sizes in bytes, lists, and options whose value may be left out."""

import re

import click

SIZES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


def size(written: str) -> int:
    """Bytes, written 200M, 1.5G, 512MiB or plainly."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?)b?", written.strip().lower())
    if found is None:
        raise click.BadParameter(f"{written!r} is no size; write 200M, 1.5G or a number of bytes")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 ** list(SIZES).index(unit) if binary else SIZES[unit]))


def names(written: str) -> tuple[str, ...]:
    """Names with commas between them."""
    listed = tuple(name.strip() for name in written.split(",") if name.strip())
    if not listed:
        raise click.BadParameter("names nothing")
    return listed


class OptionalNumbers(click.Command):
    """A command some of whose options take a number that may be left out, wherever they stand.

    Click alone would take the next word for the number: `--wait '["a"]'`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        mayhave = {
            name: option.flag_value
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag and isinstance(option.flag_value, float)
            for name in option.opts
        }
        following = [*args, ""][1:]
        filled = [
            f"{word}={mayhave[word]}" if word in mayhave and not _is_number(after) else word
            for word, after in zip(args, following, strict=True)
        ]
        return super().parse_args(ctx, filled)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
