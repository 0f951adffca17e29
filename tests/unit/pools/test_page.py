"""The page a child shares with its supervisor."""

import os
import signal

from polypool.pools.page import Page, open_page


def test_what_a_killed_process_wrote_last_can_still_be_read() -> None:
    fd = open_page()
    page = Page(fd)
    pid = os.fork()
    if not pid:
        Page(os.dup(fd)).begun = 42
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert page.begun == 42
    page.close()


def test_a_stack_is_read_as_written_and_makes_room_for_the_next() -> None:
    page = Page(fd := open_page())
    page.clear_stack()
    os.write(fd, "File “ä.py”, line 3".encode())
    assert page.stack == "File “ä.py”, line 3"
    page.clear_stack()
    assert page.stack == ""
    assert page.begun == 0
    page.close()
