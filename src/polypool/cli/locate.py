"""MODULE:APP: where it is, and importing it with errors that say what is wrong."""

import importlib
import sys
import traceback
from difflib import get_close_matches
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from polypool.core.error import ConfigurationError


def split(target: str) -> tuple[str, str]:
    """Read `MODULE:APP`. ConfigurationError says how it is written."""
    module, colon, name = target.partition(":")
    if module.endswith(".py") or "/" in module:
        written = module.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigurationError(f"{target!r} is a file; name the module instead, such as {written}:{name or 'app'}")
    if not colon or not module or not name:
        raise ConfigurationError(f"{target!r} names no app; write MODULE:APP, such as {module or 'scan'}:app")
    return module, name


def find(target: str, directory: Path) -> None:
    """Make sure that the module is there, without importing anything: neither it nor the packages around it."""
    module, _ = split(target)
    path = [str(directory), *sys.path]
    for depth, part in enumerate(parts := module.split(".")):
        spec = PathFinder.find_spec(part, path)
        if spec is None:
            raise ConfigurationError(_absent(".".join(parts[: depth + 1]), path, directory))
        if spec.submodule_search_locations is None and depth + 1 < len(parts):
            raise ConfigurationError(f"{'.'.join(parts[: depth + 1])!r} is a module, so there is no {module!r} in it")
        path = list(spec.submodule_search_locations or ())


def load(target: str, directory: Path) -> Any:
    """Import the app. ConfigurationError for whatever stands in the way, with the place in the user's own code."""
    module_name, name = split(target)
    find(target, directory)
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{module_name} needs the package {error.name!r}, which is not installed here{_place(error)}"
        ) from error
    except Exception as error:
        raise ConfigurationError(
            f"importing {module_name} failed: {type(error).__name__}: {error}{_place(error)}"
        ) from error
    return _attribute(module, name)


def _attribute(module: Any, name: str) -> Any:
    from polypool.app import Polypool

    apps = [key for key, value in vars(module).items() if isinstance(value, Polypool)]
    if name not in vars(module):
        near = get_close_matches(name, apps, n=1) or apps or get_close_matches(name, vars(module), n=1)
        hint = (
            f"; did you mean {module.__name__}:{near[0]}?" if near else f"; it makes no app: app = Polypool({name!r})"
        )
        raise ConfigurationError(f"{module.__name__} has no {name!r}{hint}")
    found = vars(module)[name]
    if not isinstance(found, Polypool):
        hint = f"; did you mean {module.__name__}:{apps[0]}?" if apps else ""
        raise ConfigurationError(f"{module.__name__}:{name} is a {type(found).__name__}, not a Polypool app{hint}")
    return found


def _absent(module: str, path: list[str], directory: Path) -> str:
    parent, _, last = module.rpartition(".")
    folder = Path(path[0])
    there = sorted(
        entry.stem
        for entry in (folder.iterdir() if folder.is_dir() else ())
        if entry.suffix == ".py" or (entry / "__init__.py").exists()
    )
    near = get_close_matches(last, there, n=1)
    where = f"the package {parent}" if parent else str(directory)
    text = f"there is no module {last!r} in {where}"
    if near:
        return f"{text}; did you mean {f'{parent}.' if parent else ''}{near[0]}?"
    if parent:
        return text
    return f"{text}, nor is it installed\nRun the command where {last}.py lies, or install the package that has it."


def _place(error: BaseException) -> str:
    """Below the message: the traceback from the user's code on, without the import machinery's own lines."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    if isinstance(error, SyntaxError):
        return "\n" + "".join(traceback.format_exception_only(error)).rstrip()
    return "\n" + "".join(traceback.format_list(frames)).rstrip() if frames else ""
