"""What a worker tells of itself: to the tests always, to the keeper where `HEALTH_SAYS` asks it to.

Rule: the keeper sees nothing here that a backend of its own accord would not show.
"""

import os
import secrets
import time
from pathlib import Path

PID = str(os.getpid())
started = time.monotonic()
boot = secrets.token_hex(8)


def is_up():
    """Tells the test that one more worker takes requests."""
    (Path(os.environ["DATA"]) / "workers" / PID).touch()


def health():
    answer = {"status": "ok"}
    said = os.environ.get("HEALTH_SAYS", "")
    if "boot" in said:
        answer["boot"] = boot
    if "uptime" in said:
        answer["uptime"] = time.monotonic() - started
    return answer
