"""Exits 0 while what runs in this container is ready, else 1 with the reason.

`python health.py [PORT [PATH]]`: by default `/health` on K2_WEB_PORT, which a worker answers with 200 once it
has its partitions and its tables, over TLS where K2_WEB_TLS_CERT_FILE has it listen so. No proxy of the
environment is asked.
"""

import http.client
import os
import ssl
import sys

HOST, SECONDS = "127.0.0.1", 2.0


def unchecked() -> ssl.SSLContext:
    """TLS to this very container: its certificate is for other names, and nothing secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def reason(port: int, path: str, *, tls: bool) -> str:
    """Why it is not ready; empty when it is."""
    connection = (
        http.client.HTTPSConnection(HOST, port, timeout=SECONDS, context=unchecked())
        if tls
        else http.client.HTTPConnection(HOST, port, timeout=SECONDS)
    )
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
            tls=not given and bool(os.environ.get("K2_WEB_TLS_CERT_FILE")),
        )
        or 0
    )
