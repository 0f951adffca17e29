"""Load: find the user's app by MODULE:APP, and say in words why it cannot be had."""

import importlib
import os
import sys
import traceback
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from polypool.core.error import ConfigurationError
from polypool.core.port import Application


def load(target: str, directory: str) -> Application:
    """Import the module, `directory` first, and take the app out of it. ConfigurationError explains."""
    module_name, colon, name = target.partition(":")
    if not module_name or (colon and not name):
        raise ConfigurationError(f"{target!r} names no app; write MODULE:APP, such as shop.tasks:app")
    directory = os.path.abspath(directory)
    if directory not in sys.path:
        sys.path.insert(0, directory)
    module = _import(module_name, directory)
    app: Any = _attribute(module, name or "app", target)
    if not _is_app(app):
        raise ConfigurationError(
            f"{target} is a {type(app).__qualname__}, not a Polypool app;{_apps_of(module)} write MODULE:APP"
        )
    found: Application = app
    return found


def _import(name: str, directory: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigurationError(
                f"there is no module {error.name!r} in {directory} nor among the installed packages; "
                "run from the folder that holds it, or check the spelling"
            ) from None
        raise ConfigurationError(f"importing {name} failed\n{_traceback(error)}") from None
    except SystemExit as error:
        raise ConfigurationError(
            f"importing {name} called sys.exit({error.code!r}); put what runs the program under "
            f'`if __name__ == "__main__":`\n{_traceback(error)}'
        ) from None
    except BaseException as error:
        raise ConfigurationError(f"importing {name} failed\n{_traceback(error)}") from None


def _attribute(module: ModuleType, name: str, target: str) -> object:
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigurationError(
                f"{target}: the module {module.__name__} ({module.__file__}) has no {name!r};{_apps_of(module)}"
                " write MODULE:APP"
            ) from None
    return found


def _is_app(value: object) -> bool:
    """By what it offers, so that wrappers and doors of other frameworks pass too."""
    tasks = getattr(value, "tasks", None)
    return isinstance(tasks, Mapping) and callable(getattr(value, "manifest", None)) and hasattr(value, "use")


def _apps_of(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if not isinstance(value, type) and _is_app(value)]
    return f" it has {', '.join(f'{module.__name__}:{name}' for name in names)};" if names else ""


def _traceback(error: BaseException) -> str:
    """The traceback from the user's own file on: not our frames, nor those of the import machinery."""
    trace = error.__traceback__
    while trace is not None and (
        trace.tb_frame.f_code.co_filename == __file__ or "importlib" in trace.tb_frame.f_code.co_filename
    ):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()
