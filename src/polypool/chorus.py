"""Chorus: watchers in one process that wait for the same part of one stream; one ask at the engine serves them all."""

from polypool.core.ask import Follow
from polypool.native import Answer

Part = tuple[str, str | None, float]


class Chorus:
    """Who waits for what. Used on one loop only."""

    def __init__(self) -> None:
        self._singing: dict[Part, tuple[Answer, set[Answer]]] = {}
        self._parts: dict[Answer, Part] = {}

    def join(self, ask: Follow, reply: Answer) -> Answer | None:
        """Have `reply` set with the others that wait for the same. The first is given the answer to have set for all of
        them, when its own wait begins; later ones are told at the latest when that one's wait is over."""
        part = (ask.id, ask.after, ask.wait)
        here = self._singing.get(part)
        if here is not None:
            here[1].add(reply)
            self._parts[reply] = part
            return None
        answer = Answer()
        self._singing[part] = answer, {reply}
        self._parts[reply] = part
        answer.add_callback(lambda: self._tell(part, answer))
        return answer

    def leave(self, reply: Answer) -> Answer | None:
        """Nobody waits for `reply` any more; the answer that nobody at all waits for now."""
        part = self._parts.pop(reply, None)
        if part is None:
            return None
        answer, replies = self._singing[part]
        replies.discard(reply)
        if replies:
            return None
        del self._singing[part]
        return answer

    def _tell(self, part: Part, answer: Answer) -> None:
        here = self._singing.get(part)
        if here is None or here[0] is not answer:
            return  # all have left; another one may have begun meanwhile
        del self._singing[part]
        for reply in here[1]:
            del self._parts[reply]
            reply.follow(answer)
