"""The program a template and a child run: `python -m polypool.pools.child template FD TARGET DIRECTORY`, or
`life SOCKET_FD PAGE_FD KIND CONCURRENCY MAX_MEMORY BLOCKED_AFTER TARGET DIRECTORY`. Started by the supervisor only."""

import socket
import sys
from typing import NoReturn


def main() -> NoReturn:
    role, *arguments = sys.argv[1:]
    if role == "template":
        from polypool.pools.child.nursery import Nursery

        fd, target, directory = arguments
        Nursery(socket.socket(fileno=int(fd)), target, directory).open()
    from polypool.pools.child.life import Birthright, live
    from polypool.pools.child.load import load

    socket_fd, page_fd, kind, concurrency, max_memory, blocked_after, target, directory = arguments
    right = Birthright(kind, int(concurrency), int(max_memory) or None, float(blocked_after))
    live(right, int(socket_fd), int(page_fd), lambda: load(target, directory))


if __name__ == "__main__":
    main()
