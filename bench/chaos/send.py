"""A producer: sends its share of a run's tasks, as `fleet.py` starts it.

`python -m bench.chaos.send FOLDER NUMBER PRODUCERS SEED COUNT BEGAN SECONDS PRIORITIES`, the last one 0 or 1.

What it sends follows from the seed alone. One that was killed and is started again reads what it had written down and
goes on, sending again, under the same ids, whatever it does not know to be accepted.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polypool
from bench.chaos.app import POISON, WARD, app
from bench.chaos.history import History, Sent, read
from polypool import DuplicateTask, EngineError

PARCEL = 20
"""Messages sent as one, where several are."""
RETRY_S = 0.1
POISON_SHARE = 0.006
FIRST_STEPS = ("naps", "dozes", "grinds", "tries_again")
WORKFLOW_SHARE = 0.08
"""Of all parcels; each is several messages."""
MEMBERS = 8
LARGEST_WORKFLOW = MEMBERS + 3
SHARES = {"naps": 0.35, "dozes": 0.2, "grinds": 0.2, "tries_again": 0.1, WARD: 0.15}


class Item(NamedTuple):
    """One message. `options` as `apply_async` takes them; `after`: of a workflow's step, those it waits for."""

    id: str
    task: str
    seconds: float
    options: dict[str, object]
    after: tuple[str, ...] = ()


class Parcel(NamedTuple):
    """Items that are sent together; `base` leads the ids of those that go as a group, and is that of a workflow."""

    base: str
    items: list[Item]
    is_workflow: bool = False


def parcels(seed: int, producer: int, count: int, composes: bool = True) -> Iterator[Parcel]:
    """Everything that this producer sends, in order."""
    dice = random.Random(f"{seed} {producer}")
    number = 0
    while number < count:
        base = f"{producer}-{number}"
        if composes and count - number >= LARGEST_WORKFLOW and dice.random() < WORKFLOW_SHARE:
            steps = dice.choice([chain_steps, chord_steps])(dice, base)
            yield Parcel(base, steps, is_workflow=True)
            number += len(steps)
            continue
        size = min(PARCEL, count - number) if dice.random() < 0.03 else 1
        items = [_item(dice, f"{base}-{index}", size > 1) for index in range(size)]
        yield Parcel(base, items)
        number += size


def _item(dice: random.Random, id: str, is_one_of_many: bool) -> Item:
    if dice.random() < POISON_SHARE:
        return Item(id, dice.choice(sorted(POISON)), dice.uniform(0, 0.2), {})
    task = dice.choices(list(SHARES), list(SHARES.values()))[0]
    seconds = dice.uniform(0.002, 0.01) if task == "grinds" else dice.uniform(0.005, 0.3)
    if task in ("naps", WARD) and dice.random() < 0.06:
        seconds = dice.uniform(1.5, 4.0)
    options: dict[str, object] = {}
    if not is_one_of_many:
        if dice.random() < 0.1:
            options["countdown"] = dice.uniform(0.1, 2.0)
        if dice.random() < 0.1:
            options["priority"] = dice.randint(-5, 5)
    return Item(id, task, seconds, options)


def chain_steps(dice: random.Random, base: str) -> list[Item]:
    """Four steps, and a callback of the last one."""
    first = _first_step(dice, f"{base}.0")
    later = [("hands_on", f"{base}.1"), ("carries_on", f"{base}.2"), ("hands_on", base), ("hands_on", f"{base}!0")]
    return [first, *_behind(dice, (first.id,), later)]


def chord_steps(dice: random.Random, base: str) -> list[Item]:
    """Members, the body that gets their list, and one more step."""
    members = [_first_step(dice, f"{base}.0-{index}") for index in range(dice.randint(2, MEMBERS))]
    return [
        *members,
        *_behind(dice, tuple(one.id for one in members), [("joins", f"{base}.1"), ("hands_on", base)]),
        *_behind(dice, (base,), [("hands_on", f"{base}!0")]),
    ]


def _first_step(dice: random.Random, id: str) -> Item:
    return Item(id, dice.choice(FIRST_STEPS), dice.uniform(0.002, 0.1), {})


def _behind(dice: random.Random, after: tuple[str, ...], steps: Sequence[tuple[str, str]]) -> Iterator[Item]:
    """One after the other."""
    for task, id in steps:
        yield Item(id, task, dice.uniform(0.002, 0.1), {}, after)
        after = (id,)


def composed(parcel: Parcel) -> Any:
    """The workflow of these steps. Its error callback is never to run."""
    steps = {item.id: app.tasks[item.task].s(item.seconds) for item in parcel.items}
    members = [steps[item.id] for item in parcel.items if not item.after]
    inner = [steps[item.id] for item in parcel.items if item.after and "!" not in item.id]
    made = polypool.chain(members[0] if parcel.items[0].id == f"{parcel.base}.0" else polypool.group(members), *inner)
    made.link(steps[f"{parcel.base}!0"])
    made.link_error(app.tasks["naps"].si(0.0))
    return made


class Producer:
    """Sends parcels and writes down what it knows of each message."""

    def __init__(self, folder: Path, number: int, has_priorities: bool) -> None:
        self._has_priorities = has_priorities
        name = f"sent-{number}"
        before = [line for line in read(folder, name) if isinstance(line, Sent)]
        self._accepted = {line.id for line in before if line.word in ("accepted", "known")}
        self._tried = {line.id for line in before}
        self._history = History(folder, name)

    def is_done(self, parcel: Parcel) -> bool:
        return all(item.id in self._accepted for item in parcel.items)

    def send(self, parcel: Parcel) -> None:
        """Try until it is accepted, each time under the same ids."""
        items = parcel.items
        self._write("sending", items)
        while True:
            try:
                if parcel.is_workflow:
                    self._try(parcel.base, items, lambda: composed(parcel).apply_async(task_id=parcel.base))
                elif len(items) == 1:
                    self._send_one(items[0])
                else:
                    calls = ((app.tasks[item.task], (item.seconds,)) for item in items)
                    app.send_many(calls, progress=False, task_id=parcel.base)
            except EngineError:
                self._write("unknown", items)
                self._tried.update(item.id for item in items)
                time.sleep(RETRY_S)
            else:
                break
        self._write("accepted", items)

    def _send_one(self, item: Item) -> None:
        options: dict[str, Any] = {**item.options}
        if not self._has_priorities:
            options.pop("priority", None)
        task = app.tasks[item.task]
        self._try(item.id, [item], lambda: task.apply_async((item.seconds,), task_id=item.id, **options))

    def _try(self, id: str, items: Sequence[Item], send: Callable[[], object]) -> None:
        try:
            send()
        except DuplicateTask:
            # To be expected of one that was tried before; otherwise the judge wants to know.
            if id not in self._tried:
                self._write("known", items)

    def _write(self, word: str, items: Sequence[Item]) -> None:
        at = time.time()
        self._history.write(*(Sent(word, at, item.id, item.task, item.after) for item in items))


def send_all(producer: Producer, share: Iterator[Parcel], due: Callable[[int], float]) -> None:
    """Send what is not done yet, each parcel at its time."""
    sent = 0
    for parcel in share:
        if not producer.is_done(parcel):
            time.sleep(max(due(sent) - time.time(), 0.0))
            producer.send(parcel)
        sent += len(parcel.items)


def main(words: Sequence[str]) -> None:
    folder, number, producers, seed, count, began, seconds, has_priorities = words
    mine = int(count) // int(producers)
    share = parcels(int(seed), int(number), mine, composes=hasattr(polypool, "chain"))
    producer = Producer(Path(folder), int(number), has_priorities == "1")
    send_all(producer, share, lambda sent: float(began) + float(seconds) * sent / mine)
    app.close()


if __name__ == "__main__":
    main(sys.argv[1:])
