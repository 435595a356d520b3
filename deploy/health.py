"""Exits 0 while what runs in this container is ready, else 1 with the reason.

`python health.py [PORT [PATH]]`: by default `/health` on K2_WEB_PORT, which a worker answers with 200 once it
has its partitions and its tables. No proxy of the environment is asked.
"""

import http.client
import os
import sys

SECONDS = 2.0


def reason(port: int, path: str) -> str:
    """Why it is not ready; empty when it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(2_000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"no answer from port {port}: {error}"
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else f"{answer.status}: {body}"


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(
        reason(
            int(given[0] if given else os.environ.get("K2_WEB_PORT", "6066")),
            given[1] if given[1:] else "/health",
        )
        or 0
    )
