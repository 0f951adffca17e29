"""Commands that are imported when they are used: `polypool worker` pays for no table it never draws."""

import importlib
from difflib import get_close_matches
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose sub-command NAME is the function of that name in module `package.NAME`.

    `summaries` maps each name to the line that `--help` lists it with, so that help imports none of them.
    """

    def __init__(self, *, package: str, summaries: dict[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self._package = package
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        module = importlib.import_module(f"{self._package}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self._summaries and not args[0].startswith("-"):
            near = get_close_matches(args[0], self._summaries, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(self._summaries)}."
            ctx.fail(f"no command is called {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
