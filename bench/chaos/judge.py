"""Judge: what must hold after a run, decided from its history and what the engine says of each message. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.chaos.app import POISON, SPINNING, WARD
from bench.chaos.history import Act, Line, Ran, Sent
from polypool.core.codec import decode_any
from polypool.core.event import Record
from polypool.core.lifecycle import State

LEARNS_WITHIN_S = 30.0
"""A worker whose lease is over may learn so after another has begun what it held, when the engine is back."""
DYING_S = 1.0
"""Seconds in which the death of a supervisor or a template has reached every process below it: each is told by the
kernel when the one above has ended, and until then may begin what it has read already."""
HANGOVER_S = 2.0
"""A worker that goes on after a stop begins what it had taken before, until it learns that it is fenced off and its
children do."""
BEAT = 1 / 3
"""The share of a lease between two heartbeats: an outage that is shorter by so much can still end it."""
KILLS = ("kill child", "kill worker")
ACTS_TO_CONDEMN = 2
"""An innocent with three lives may end in the dead letters, but not for one act alone."""


@dataclass
class Run:
    """One run of one message. `ended` is when its function returned, None if it never did."""

    id: str
    task: str
    token: int
    pid: int
    worker: str
    begun: float
    ended: float | None = None
    asked_again: bool = False
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fence:
    """A worker's own word that its lease had ended."""

    worker: str
    at: float


@dataclass
class Verdict:
    """Counts, and whatever must not have been."""

    sent: int = 0
    ended: int = 0
    acts: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    """Of workflows, those that waited for others."""
    poison: int = 0
    condemned: int = 0
    """Innocents that lost three runs to acts."""
    runs: int = 0
    reruns: int = 0
    asked: int = 0
    """Reruns that the task itself had asked for."""
    explained: dict[str, int] = field(default_factory=dict)
    overlaps: int = 0
    """Runs that began while an earlier one, of a worker that was out of the game, had not returned."""
    violations: list[str] = field(default_factory=list)


class Case:
    """A run's history, in the order that questions need."""

    def __init__(self, lines: Iterable[Line], fences: Sequence[Fence], lease: float, excuses_outages: bool) -> None:
        self.lease = lease
        self.excuses_outages = excuses_outages
        self.sent: dict[str, str] = {}
        self.after: dict[str, tuple[str, ...]] = {}
        self.accepted: set[str] = set()
        self.known: set[str] = set()
        self.runs: dict[str, list[Run]] = {}
        self.acts: list[Act] = []
        self.fences = fences
        runs: dict[tuple[str, int, int], Run] = {}
        rans: list[Ran] = []
        for line in lines:
            if isinstance(line, Sent):
                self._send(line)
            elif isinstance(line, Act):
                self.acts.append(line)
            else:
                rans.append(line)
        for ran in sorted(rans, key=lambda ran: ran.at):
            key = (ran.id, ran.token, ran.pid)
            if ran.word == "begun":
                runs[key] = Run(ran.id, ran.task, ran.token, ran.pid, ran.worker, ran.at, given=ran.given)
                self.runs.setdefault(ran.id, []).append(runs[key])
            elif key in runs:
                runs[key].ended, runs[key].asked_again = ran.at, ran.word == "again"
        self._poisoned: dict[int, list[Run]] = {}
        for own in self.runs.values():
            own.sort(key=lambda run: (run.token, run.begun))
            for run in own:
                if run.task in POISON:
                    self._poisoned.setdefault(run.pid, []).append(run)

    def _send(self, line: Sent) -> None:
        self.sent[line.id] = line.task
        self.after[line.id] = line.after
        if line.word == "accepted":
            self.accepted.add(line.id)
        elif line.word == "known":
            self.known.add(line.id)

    def explain(self, run: Run, again: Run) -> str | None:
        """Why this run was not the last; None if nothing that happened can be the reason."""
        if run.asked_again and run.ended is not None and run.ended <= again.begun:
            return "asked for"
        for act in self.acts:
            if act.at > again.begun:
                continue
            is_hit = run.pid in act.pids or act.worker == run.worker
            if act.word in KILLS and act.until + DYING_S >= run.begun and is_hit:
                return act.word
            if act.word == "stop worker" and act.until + HANGOVER_S >= run.begun and act.worker == run.worker:
                return act.word
        if any(poison is not run and poison.begun <= again.begun for poison in self._poisoned.get(run.pid, ())):
            return "poison beside it"
        if run.task in POISON:
            return "poison"
        if any(
            fence.worker == run.worker and run.begun - HANGOVER_S <= fence.at <= again.begun + LEARNS_WITHIN_S
            for fence in self.fences
        ):
            return "lease lost"
        outages = [act for act in self.acts if act.word.startswith("outage") and act.at <= again.begun]
        if self.excuses_outages and any(
            act.until - act.at >= self.lease * (1 - BEAT) and act.until >= run.begun for act in outages
        ):
            return "lease lost"  # and its worker was killed before it could say so
        if self._left_unwritten(run, again, outages):
            return "left while the engine was away"
        return None

    def _left_unwritten(self, run: Run, again: Run, outages: Sequence[Act]) -> bool:
        """A worker told to stop waits a few seconds for an engine that is away, no longer."""
        left = [
            act for act in self.acts
            if act.word == "deploy" and act.worker == run.worker and act.at <= again.begun and act.until >= run.begun
        ]  # fmt: skip
        return any(act.at <= outage.until and outage.at <= act.until for act in left for outage in outages)

    def lost_by_themselves(self) -> int:
        """Leases that ended though nobody had stopped their worker."""
        stops = [act for act in self.acts if act.word == "stop worker"]
        return sum(
            not any(act.worker == fence.worker and act.at <= fence.at <= act.until + LEARNS_WITHIN_S for act in stops)
            for fence in self.fences
        )

    def hits(self, id: str) -> int:
        """Acts that may have cost a message a life."""
        own = self.runs.get(id, ())
        since = min((run.begun for run in own), default=0.0)
        return sum(act.word in (*KILLS, "stop worker") and act.until >= since for act in self.acts)


def judge(case: Case, records: Mapping[str, Record], left: Mapping[str, int]) -> Verdict:
    """Hold a run to what is promised."""
    verdict = Verdict(sent=len(case.accepted), acts=dict(Counter(act.word for act in case.acts)))
    wrong = verdict.violations
    wrong += [f"{id}: the first send was told that the id is there" for id in sorted(case.known)]
    wrong += [f"{id}: runs, but nobody sent it" for id in sorted(case.runs.keys() - case.sent.keys())]
    for id, task in sorted(case.sent.items()):
        record = records.get(id)
        if record is None and id not in case.accepted:
            continue  # its producer never heard, and indeed it is not there
        runs = case.runs.get(id, [])
        _judge_end(verdict, case, id, task, record)
        _judge_runs(verdict, case, runs)
        verdict.steps += bool(case.after[id])
        wrong += _wrongly_given(runs, case.after[id], records)
    wrong += [f"left in the engine: {count} × {name}" for name, count in sorted(left.items())]
    wrong += [f"{act.word}, worker {act.worker}" for act in case.acts if act.word == "deploy that never ended"]
    return verdict


def _judge_end(verdict: Verdict, case: Case, id: str, task: str, record: Record | None) -> None:
    if record is None or not record.state.is_final:
        verdict.violations.append(f"{id} ({task}): accepted and not ended: {record.state if record else 'unknown'}")
        return
    verdict.ended += id in case.accepted
    verdict.poison += task in POISON
    wrong = _wrong_poison(task, record) if task in POISON else _wrong_innocent(verdict, case, id, task, record)
    if wrong:
        verdict.violations.append(f"{id} ({task}): {wrong}")


def _wrong_poison(task: str, record: Record) -> str | None:
    failure = record.failure
    if record.state is not State.FAILED or failure is None:
        return f"poison ended as {record.state}"
    if task in SPINNING:
        return None if failure.type.endswith("TimeLimitExceeded") else f"an endless loop ended as {failure}"
    if not (failure.type.endswith("TaskLost") and record.is_dead and "process died" in failure.message):
        return f"poison ended as {failure}, dead letter: {record.is_dead}"
    return None


def _wrong_innocent(verdict: Verdict, case: Case, id: str, task: str, record: Record) -> str | None:
    runs = case.runs.get(id, [])
    if record.state is State.SUCCEEDED:
        if not runs:
            return "succeeded without a run"
        last = runs[-1]
        value = decode_any(record.value) if record.value is not None else None
        if value != f"{id} {last.token}":
            return f"the value kept is {value!r}, the last run was {last}"
        return None if last.ended is not None else f"succeeded, but its last run never returned: {last}"
    if task == WARD and record.is_dead and case.hits(id) >= ACTS_TO_CONDEMN:
        verdict.condemned += 1
        return None
    return f"an innocent ended as {record.state} with {record.failure}; its runs: {runs}"


def _wrongly_given(runs: Sequence[Run], after: Sequence[str], records: Mapping[str, Record]) -> list[str]:
    """A step is given the values that its engine keeps of those before it, in each of its runs: so it began after they
    had ended, and what joins were told is what was written."""
    kept = tuple(records[id].value for id in after if id in records)
    values = tuple(decode_any(value) if value is not None else None for value in kept)
    return [f"{run.id} ({run.task}) was given {run.given}, not {values}" for run in runs if run.given != values]


def _judge_runs(verdict: Verdict, case: Case, runs: Sequence[Run]) -> None:
    verdict.runs += len(runs)
    for run, again in pairwise(runs):
        if run.token == again.token:
            verdict.violations.append(f"one delivery ran twice: {run} and {again}")
        reason = case.explain(run, again)
        verdict.reruns += 1
        if reason is None:
            is_live = run.ended is None or run.ended > again.begun
            what = "two live leases" if is_live else "nothing explains a rerun"
            verdict.violations.append(f"{what}: {run}, then {again}")
            continue
        verdict.explained[reason] = verdict.explained.get(reason, 0) + 1
        verdict.asked += reason == "asked for"
        verdict.overlaps += run.ended is not None and run.ended > again.begun
