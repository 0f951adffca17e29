"""What the rules look at: the files of this repository, and the blocks and links of its pages."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "polypool"
README = ROOT / "README.md"
DOCS = ROOT / "docs"

RUN_MARK = "<!-- test: run -->"
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})\s*(?P<language>[\w+-]*)")
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")


@cache
def files() -> tuple[Path, ...]:
    """Every file that is in the repository or would be added to it; ignored ones are not read."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in sorted(set(listed.stdout.split("\0")) - {""}))
    return tuple(path for path in paths if path.is_file())


def sources(folder: Path, suffix: str = ".py") -> list[Path]:
    """Files below a folder with this suffix."""
    return [path for path in files() if path.is_relative_to(folder) and path.suffix == suffix]


def pages() -> list[Path]:
    """README.md and everything in docs/."""
    return [path for path in files() if path == README or (path.is_relative_to(DOCS) and path.suffix == ".md")]


def syntax(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def short(path: Path) -> str:
    """How a file is called in a failure message."""
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is that of its first line of code, counted from 1."""

    page: Path
    line: int
    language: str
    text: str
    runs: bool

    def __str__(self) -> str:
        return f"{short(self.page)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all pages in any of these languages."""
    return [block for page in pages() for block in blocks_of(page) if block.language in languages]


def blocks_of(page: Path) -> Iterator[Block]:
    """The fenced blocks of one page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        end = _closing_line(lines, number + 1, fence["ticks"], page)
        indent = len(fence["indent"])
        yield Block(
            page=page,
            line=number + 2,
            language=fence["language"].lower(),
            text="\n".join(line[indent:] for line in lines[number + 1 : end]) + "\n",
            runs=_line_above(lines, number) == RUN_MARK,
        )
        number = end + 1


def links_of(page: Path) -> list[Path]:
    """Files of this repository that a page links to."""
    targets = (target.partition("#")[0] for target in LINK.findall(_without_blocks(page)))
    return [(page.parent / target).resolve() for target in targets if target and ":" not in target]


def _closing_line(lines: list[str], start: int, ticks: str, page: Path) -> int:
    for number in range(start, len(lines)):
        if lines[number].strip().startswith(ticks) and not lines[number].strip().strip(ticks[0]):
            return number
    raise AssertionError(f"{short(page)}:{start}: this block is never closed")


def _line_above(lines: list[str], number: int) -> str:
    above = (line.strip() for line in reversed(lines[:number]))
    return next((line for line in above if line), "")


def _without_blocks(page: Path) -> str:
    lines = page.read_text(encoding="utf-8").splitlines()
    for block in blocks_of(page):
        count = block.text.count("\n")
        lines[block.line - 1 : block.line - 1 + count] = [""] * count
    return "\n".join(lines)
