"""The CPU-heavy function: pure Python, no I/O, some ten microseconds an id, and not the same for each."""


def steps_to_one(number: int) -> int:
    """How many steps `n → n/2 or 3n + 1` takes from this number down to 1."""
    steps = 0
    while number > 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps
