"""The SQL files beside this one, by name."""

from importlib.resources import files

SQL = {
    file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
    for file in (files(__package__) / "sql").iterdir()
    if file.name.endswith(".sql")
}
