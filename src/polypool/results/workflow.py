"""Workflow: a whole workflow that was sent, to look at, to cancel, and to send again."""

import logging
from typing import Any

from polypool.canvas.node import Tree
from polypool.outlet import Outlet
from polypool.results.cancelling import cancel
from polypool.results.repeating import Repeated, replay, retry
from polypool.results.result import AsyncResult
from polypool.results.surveying import MEMBERS, survey

log = logging.getLogger("polypool.workflow")


class Workflow:
    """A workflow, seen from outside. Made by `app.workflow(id)`, whose id is that of the result of its sending.

    Methods that begin with `a` are the awaited twins of those that block.
    """

    __slots__ = ("_outlet", "id")

    def __init__(self, id: str, outlet: Outlet) -> None:
        self.id = id
        self._outlet = outlet

    @property
    def result(self) -> AsyncResult[Any]:
        """Its last step, whose value is the workflow's."""
        return AsyncResult(self.id, self._outlet)

    def tree(self, members: int = MEMBERS) -> Tree:
        """Its steps with their states and times, also while it runs. Of groups of more than `members` there are the
        numbers of members by state, and those members that tell most. The id may be a step's too. ResultUnknown."""
        return self._outlet.hold(survey(self.id, self._outlet.now(), members))

    async def atree(self, members: int = MEMBERS) -> Tree:
        return await self._outlet.ahold(survey(self.id, self._outlet.now(), members))

    def cancel(self) -> bool:
        """End all of it that has not ended. False: all had ended before, or it is unknown."""
        return self._outlet.hold(cancel(self.id))

    async def acancel(self) -> bool:
        return await self._outlet.ahold(cancel(self.id))

    def retry(self) -> AsyncResult[Any]:
        """Send it again as a new workflow that goes on from where this one failed or was cancelled: results of steps
        that succeeded are taken over, the others run, and all behind them.

        Steps whose results are no longer kept, and are needed, run again too. NotRepeatable when it has not ended, when
        nothing failed, and where members came from a generator. Returns the new one's result.
        """
        return self._repeated(self._outlet.hold(retry(self.id, self._outlet.new_id(), self._outlet.now())))

    async def aretry(self) -> AsyncResult[Any]:
        return self._repeated(await self._outlet.ahold(retry(self.id, self._outlet.new_id(), self._outlet.now())))

    def replay(self) -> AsyncResult[Any]:
        """Send all of it again as a new workflow, once it has ended. NotRepeatable. Returns the new one's result."""
        return self._repeated(self._outlet.hold(replay(self.id, self._outlet.new_id(), self._outlet.now())))

    async def areplay(self) -> AsyncResult[Any]:
        return self._repeated(await self._outlet.ahold(replay(self.id, self._outlet.new_id(), self._outlet.now())))

    def _repeated(self, sent: Repeated) -> AsyncResult[Any]:
        if sent.gone:
            log.warning(
                "retry of workflow %s as %s: %d steps run again because their results are no longer kept (result_ttl)",
                self.id,
                sent.id,
                sent.gone,
            )
        return AsyncResult(sent.id, self._outlet)

    def __repr__(self) -> str:
        return f"<Workflow {self.id}>"
