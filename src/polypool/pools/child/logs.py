"""Logs: records made inside a task carry its name and id, whatever formats them."""

import logging
import sys
from typing import Any

from polypool.core.running import running

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(task_tag)s%(message)s"


def install() -> None:
    """Add `task_id`, `task_name` and `task_tag` ("[name id] ") to all records; a format, if the app has none."""
    make = logging.getLogRecordFactory()

    def with_task(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        call = running.get()
        if call is None:
            record.task_id = record.task_name = record.task_tag = ""
        else:
            message = call.message
            record.task_id, record.task_name = message.id, message.task
            record.task_tag = f"[{message.task} {message.id}] "
        return record

    logging.setLogRecordFactory(with_task)
    if not logging.root.handlers:
        logging.basicConfig(level=logging.INFO, format=FORMAT, stream=sys.stderr)
