"""What `polypool call` sends, and how it answers what cannot be sent."""

from pathlib import Path

import msgspec
import pytest

from polypool.core.error import ConfigurationError
from tests.unit.cli.conftest import Typed, write_module

APP = """
from dataclasses import dataclass
from polypool import Polypool

app = Polypool("shop", broker="sqlite:///shop.db")


@dataclass
class Item:
    name: str
    count: int = 1


@app.task(name="shop.pack")
def pack(item: Item, fragile: bool = False) -> str: ...


@app.task(name="shop.add")
async def add(a: int, b: int) -> int: ...


@app.task(name="depot.add")
async def add_there(a: int, b: int) -> int: ...
"""


@pytest.fixture
def shop(folder: Path) -> str:
    """An app in the current folder, under a name of its own in each test."""
    name = f"shop_{folder.name.replace('-', '_')}"
    write_module(folder, name, APP)
    return f"{name}:app"


def waiting(polypool: Typed) -> list[dict[str, object]]:
    return polypool("queues", "--broker", "sqlite:///shop.db", "--json").json["queues"]


def test_a_call_prints_the_id_and_the_message_waits(polypool: Typed, shop: str) -> None:
    came = polypool("call", shop, "shop.add", "[1, 2]")
    assert came.status == 0, came.err
    assert polypool("result", came.out.strip(), "--broker", "sqlite:///shop.db").status == 3
    (lane,) = waiting(polypool)
    assert (lane["queue"], lane["pool"], lane["queued"]) == ("default", "asyncio", 1)


def test_the_last_part_of_a_name_is_enough_where_it_is_clear(polypool: Typed, shop: str) -> None:
    assert polypool("call", shop, "pack", '[{"name": "cup"}]', '{"fragile": true}').status == 0
    came = polypool("call", shop, "add", "[1, 2]")
    assert came.status == 2
    assert "depot.add or shop.add" in came.err


def test_an_unknown_task_is_answered_with_the_nearest(polypool: Typed, shop: str) -> None:
    came = polypool("call", shop, "pakc")
    assert came.status == 2 and "did you mean pack?" in came.err
    assert "there are: depot.add, shop.add, shop.pack" in polypool("call", shop, "zzz").err


def test_options_reach_the_message(polypool: Typed, shop: str) -> None:
    options = ("--queue", "fast", "--priority", "7", "--countdown", "60", "--id", "mine")
    assert polypool("call", shop, "shop.add", "[1, 2]", *options).out == "mine\n"
    (lane,) = waiting(polypool)
    assert (lane["queue"], lane["queued"], lane["scheduled"]) == ("fast", 0, 1)


def test_a_negative_number_is_an_argument_and_no_option(polypool: Typed, shop: str) -> None:
    assert polypool("call", shop, "shop.add", "[-1, -2]").status == 0


def test_an_argument_that_does_not_fit_names_the_parameter(polypool: Typed, shop: str) -> None:
    for words, parameter in ((["shop.add", '["one", 2]'], "a"), (["pack", '[{"name": 3}]'], "item.name")):
        came = polypool("call", shop, *words)
        assert came.status == 1
        assert parameter in came.err and "Traceback" not in came.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["https://…"], "'[\"https://"),
        (["5"], "'[5]'"),
        (["[1]", "[2]"], "one JSON list"),
        (["{'a': 1}"], "is not JSON"),
    ],
)
def test_arguments_that_are_no_json_are_answered_with_how_to_write_them(
    polypool: Typed, shop: str, given: list[str], said: str
) -> None:
    came = polypool("call", shop, "shop.add", *given)
    assert came.status == 2
    assert said in came.err


def test_an_engine_given_takes_the_place_of_the_apps_own(polypool: Typed, shop: str, folder: Path) -> None:
    assert polypool("call", shop, "shop.add", "[1, 2]", "--broker", "sqlite:///other.db").status == 0
    assert (folder / "other.db").exists() and not (folder / "shop.db").exists()


def test_waiting_that_runs_out_says_how_it_stands(polypool: Typed, shop: str) -> None:
    came = polypool("call", shop, "shop.add", "[1, 2]", "--id", "mine", "--wait", "0.05")
    assert came.status == 1
    assert "still queued" in came.err and "polypool result mine --wait" in came.err


def test_the_id_comes_as_json_for_scripts(polypool: Typed, shop: str) -> None:
    assert polypool("call", shop, "shop.add", "[1, 2]", "--id", "mine", "--json").json == {"id": "mine"}


@pytest.mark.parametrize(
    ("lines", "target", "said"),
    [
        (["from polypool import Polypool", "ap = Polypool('a')"], "app", ":ap"),
        (["app = 3"], "app", "int"),
        (["import no_such_package_here"], "app", "no_such_package_here"),
        (["def broken(:"], "app", "SyntaxError"),
        (["1 / 0"], "app", "ZeroDivisionError"),
        (["raise SystemExit(3)"], "app", "__main__"),
    ],
    ids=["another name", "no app", "a missing package", "a syntax error", "an error", "an exit"],
)
def test_a_module_that_gives_no_app_is_answered_in_its_own_words(
    polypool: Typed, folder: Path, lines: list[str], target: str, said: str
) -> None:
    name = f"wrong_{abs(hash((folder.name, said)))}"
    write_module(folder, name, *lines)
    came = polypool("call", f"{name}:{target}", "anything")
    assert came.status == 2
    assert said in came.err
    assert "cli/locate.py" not in came.err, "only the user's own lines are shown"


def test_a_result_that_json_lacks_a_form_for_is_still_printed() -> None:
    from polypool.cli.result import pretty

    assert msgspec.json.decode(pretty({"raw": b"ab", "inf": float("inf")})) == {"raw": "YWI=", "inf": None}


def test_a_configuration_error_is_what_parsing_raises() -> None:
    from polypool.cli.call import parsed

    assert parsed(('{"a": 1}', "[2]")) == ([2], {"a": 1})
    assert parsed(()) == ([], {})
    with pytest.raises(ConfigurationError):
        parsed(("null",))
