"""Uplink: a child's way to the engine. Asks go up the child's socket, the supervisor answers them."""

import os
from itertools import count

import msgspec

from polypool.core import error as errors
from polypool.core.ask import REPLY_TYPES, Ask, Await, Follow
from polypool.core.running import running
from polypool.native import Answer
from polypool.pools.child.call import Call
from polypool.pools.child.outbox import Outbox
from polypool.pools.child.waiting import Aside, ended_already
from polypool.pools.wire import Asked, GivenUp, Reply

_decoders = {ask: msgspec.msgpack.Decoder(reply) for ask, reply in REPLY_TYPES.items()}


class Uplink:
    """Satisfies `core.port.Line`. Usable from every thread, greenlet and loop of the child; waiting for an answer
    inside a coroutine blocks the loop, but not the answer: it comes on another thread."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._numbers = count(1)
        self._open: dict[int, tuple[Answer, type[Ask]]] = {}
        self._pid = os.getpid()

    def ask(self, ask: Ask) -> Answer | Aside:
        if isinstance(ask, Await) and ask.wait > 0:
            call = running.get()
            if isinstance(call, Call):
                if call.slots is None:
                    return ended_already(ask, self._asked)
                return Aside(self._asked(ask), call, call.slots)
        return self._asked(ask)

    def _asked(self, ask: Ask) -> Answer:
        answer = Answer()
        if os.getpid() != self._pid:
            # A process that a task forked: it shares the socket, but nobody would read its answers.
            answer.set(
                error=errors.SendError(
                    "a process forked inside a task cannot send; send from the task itself, "
                    "or start the process with multiprocessing's spawn method"
                )
            )
            return answer
        number = next(self._numbers)
        self._open[number] = answer, type(ask)
        if isinstance(ask, Await | Follow):  # anything else is done, whoever still waits for it
            answer.when_given_up = lambda _: self._give_up(number)
        self._outbox.put(Asked(number, ask))
        return answer

    def answered(self, reply: Reply) -> None:
        """Give an answer to who waits for it."""
        answer, kind = self._open.pop(reply.number, (None, None))
        if answer is None or kind is None:
            return  # given up meanwhile
        if reply.error is None:
            answer.set(_decoders[kind].decode(reply.value))
        else:
            answer.set(error=_error(*reply.error))

    def _give_up(self, number: int) -> None:
        if self._open.pop(number, None) is not None:
            self._outbox.put(GivenUp(number))


def _error(name: str, text: str) -> Exception:
    """The error the engine raised, as the class it had there if it is one of ours."""
    found = getattr(errors, name, None)
    if isinstance(found, type) and issubclass(found, errors.PolypoolError):
        return found(text)
    return errors.EngineError(f"{name}: {text}")
