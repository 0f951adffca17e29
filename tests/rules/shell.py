"""Reads the commands in the shell blocks of README and docs."""

import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.rules.tree import Block, blocks

ENDS_A_COMMAND = set("();<>|&")


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a shell block as words, without prompts, comments and what they are piped to."""
    pending = ""
    for line in block.text.splitlines():
        pending += line.removeprefix("$ ")
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        words = _words(pending)
        if words is None:  # a quote is still open
            pending += "\n"
            continue
        yield from _split(words)
        pending = ""
    assert not pending.strip(), f"{block}: a quote or a backslash is left open"


def shown(program: str) -> list[tuple[Block, list[str]]]:
    """The arguments of each call of a program, and the block that shows it."""
    shell = blocks("sh", "bash", "shell", "console")
    calls = ((block, command) for block in shell for command in commands(block))
    return [(block, command[1:]) for block, command in calls if PurePosixPath(command[0]).name == program]


def _words(line: str) -> list[str] | None:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return None


def _split(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= ENDS_A_COMMAND:
            if command:
                yield command
            command = []
        elif command or not re.match(r"\w+=", word):  # SETTING=value in front of a command
            command.append(word)
