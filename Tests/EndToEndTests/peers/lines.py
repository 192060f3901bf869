"""JSON lines: how a peer and the test that started it talk. One object per line, on stdin and stdout."""

import json
import sys
import threading

_lock = threading.Lock()


def emit(event, **fields):
    """Prints one event for the test."""
    line = json.dumps({"event": event, **fields}, ensure_ascii=False)
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def commands():
    """Yields the test's commands until it closes our stdin; a line that is no JSON object is reported and skipped."""
    for line in sys.stdin:
        line = line.strip()
        if not line:
            continue
        try:
            command = json.loads(line)
            if not isinstance(command, dict) or "command" not in command:
                raise ValueError('not an object with "command"')
        except ValueError as error:
            emit("error", message=f"bad command {line!r}: {error}")
            continue
        yield command
