"""The exit codes of `k2`."""

from __future__ import annotations

from k2stream.model.errors import StateRefused

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = StateRefused.exit_code

MEANINGS = {
    DONE: "done, and what was checked is right",
    FAILED: "an error, which the one line on standard error names; or a check found something wrong; or a "
    "question was answered with no",
    USAGE: "a command, option or argument that does not exist or cannot be right; nothing was started",
    REFUSED: "a worker refused its state; a restart would end the same way",
}
