"""MODULE:APP: looking for it without importing anything, and importing it."""

import sys
from difflib import get_close_matches
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from polypool.core.error import ConfigurationError


def find(target: str, directory: Path) -> None:
    """Make sure that the module is there. Imports neither it nor the packages around it. ConfigurationError."""
    module = _module_of(target)
    path = [str(directory), *sys.path]
    for depth, part in enumerate(parts := module.split(".")):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            raise ConfigurationError(_absent(parts[:depth], part, path, directory))
        path = list(spec.submodule_search_locations or ())


def load(target: str, directory: Path) -> Any:
    """Import the app, as a worker's children do. ConfigurationError."""
    from polypool.pools.child.load import load as load_app

    find(target, directory)
    return load_app(target, str(directory))


def _module_of(target: str) -> str:
    module, _, name = target.partition(":")
    if module.endswith(".py") or "/" in module:
        written = module.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigurationError(f"{target!r} is a file; name the module instead: {written}:{name or 'app'}")
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigurationError(f"{target!r} names no module; write MODULE:APP, such as scan:app")
    return module


def _absent(above: list[str], name: str, path: list[str], directory: Path) -> str:
    package = ".".join(above)
    if above and not path:
        return f"{package} is a module and no package, so there is no {name!r} in it"
    where = f"the package {package}" if above else str(directory)
    there = f"there is no module {name!r} in {where}"
    if near := get_close_matches(name, _modules_in(Path(path[0])), n=1):
        return f"{there}; did you mean {'.'.join([*above, near[0]])}?"
    if above:
        return there
    return f"{there}, nor is it installed\nRun the command where {name}.py lies, or install the package that has it."


def _modules_in(folder: Path) -> list[str]:
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry.stem for entry in entries if entry.suffix == ".py" or (entry / "__init__.py").exists())
