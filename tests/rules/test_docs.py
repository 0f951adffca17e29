"""What README and docs show is true: their code compiles, runs and names what exists."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.tree import DOCS, README, ROOT, Block, blocks, links_of, pages, short

PYTHON = blocks("python", "py")
RUNNABLE = [block for block in PYTHON if block.runs]
INDEX = DOCS / "index.md"

needs_readme = pytest.mark.skipif(not README.exists(), reason="README.md is not written yet")
needs_docs = pytest.mark.skipif(not DOCS.exists(), reason="docs/ is not written yet")


@needs_readme
def test_the_readme_shows_python_that_is_compiled_and_python_that_is_run() -> None:
    shown = [block for block in PYTHON if block.page == README]
    assert shown, "README.md shows no python block"
    assert any(block.runs for block in shown), "README.md marks no python block with <!-- test: run -->"


@needs_docs
def test_the_docs_show_python() -> None:
    assert [block for block in PYTHON if block.page.is_relative_to(DOCS)], "docs/ shows no python block"


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_every_python_block_compiles(block: Block) -> None:
    lines_up_with_the_page = "\n" * (block.line - 1)
    compile(
        lines_up_with_the_page + block.text,
        short(block.page),
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )


@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_every_marked_python_block_runs(block: Block, tmp_path: Path) -> None:
    program = tmp_path / "shown.py"
    program.write_text(block.text, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("POLYPOOL_")}
    ended = subprocess.run(
        [sys.executable, program.name],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, f"{block} failed:\n{ended.stdout}{ended.stderr}"


def test_every_mark_stands_right_above_a_python_block() -> None:
    marks = sum(len(re.findall(r"(?m)^ *<!--\s*test:", page.read_text(encoding="utf-8"))) for page in pages())
    assert marks == len(RUNNABLE), "the mark is written <!-- test: run --> on the line above ```python"


@needs_docs
def test_every_page_of_the_docs_can_be_reached() -> None:
    doors = [page for page in (README, INDEX) if page.exists()]
    linked = {target for door in doors for target in links_of(door)}
    unreachable = [page for page in pages() if page not in {README, INDEX} and page not in linked]
    assert [short(page) for page in unreachable] == [], "link it from README.md or docs/index.md"


@pytest.mark.parametrize("page", pages(), ids=short)
def test_every_link_leads_to_a_file(page: Path) -> None:
    broken = [os.path.relpath(target, ROOT) for target in links_of(page) if not target.exists()]
    assert broken == []
