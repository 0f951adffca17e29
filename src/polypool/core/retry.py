"""How long to wait before a retry: exponential backoff with jitter."""

from collections.abc import Callable

from polypool.core.message import Policy


def backoff(policy: Policy, retries: int, random: Callable[[], float]) -> float:
    """Seconds to wait before retry number `retries` (counted from 0).

    `retry_backoff × 2^retries`, at most `retry_backoff_max`. With jitter the wait is drawn evenly from
    its upper half ("equal jitter", Brooker, AWS Architecture Blog, "Exponential Backoff and Jitter", 2015): spread
    out, and never at once.
    """
    delay = min(policy.retry_backoff * 2.0 ** min(retries, 60), policy.retry_backoff_max)
    return delay * (0.5 + 0.5 * random()) if policy.retry_jitter else delay
