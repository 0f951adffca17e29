"""Names of tasks: the same in the process that sends and in the worker that runs them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polypool.core.error import ConfigurationError


def task_name(function: Callable[..., Any]) -> str:
    """`module.qualified_name`, with the module's real name where it runs as `__main__`.

    A script that is run and also sends would call its tasks `__main__.f`, while the worker that imports the same
    file calls them `scan.f`. So `python -m shop.scan` counts as `shop.scan`, `python scan.py` as `scan`, and
    `python shop/scan.py` as `shop.scan` where shop/ is a package (has an `__init__.py`).
    """
    qualname = getattr(function, "__qualname__", None)
    if qualname is None or "<lambda>" in qualname:
        raise ConfigurationError(
            f'{function!r} has no name of its own to be found by; give it one: @app.task(name="…")'
        )
    module = getattr(function, "__module__", None) or "__main__"
    return f"{real_module_name() if module == '__main__' else module}.{qualname}"


def real_module_name() -> str:
    """What `__main__` is called when it is imported; `__main__` itself in an interactive session."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)  # python -m
    file = getattr(main, "__file__", None)
    return "__main__" if file is None else _module_of(Path(file).resolve())


def _module_of(file: Path) -> str:
    words = [file.stem]
    for folder in file.parents:
        if not (folder / "__init__.py").exists():
            break
        words.insert(0, folder.name)
    return ".".join(words)


def is_same_place(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two functions are the same lines of code: a module that was loaded again, or a notebook's cell."""
    first, second = (getattr(function, "__code__", None) for function in (one, other))
    if first is None or second is None:
        return one is other
    if first.co_filename != second.co_filename:
        return _is_typed_in(first.co_filename) and _is_typed_in(second.co_filename)
    return _is_typed_in(first.co_filename) or first.co_firstlineno == second.co_firstlineno


def _is_typed_in(filename: str) -> bool:
    return filename.startswith("<") or "ipykernel" in filename
