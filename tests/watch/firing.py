"""Makes faults of a platform, and waits until an alert reached the webhook, and is resolved."""

import httpx


async def inject(platform, **fault):
    """Make a simulated exchange misbehave."""
    async with httpx.AsyncClient(base_url=platform.control_url, timeout=20) as control:
        (await control.post("/fault", json=fault)).raise_for_status()


async def fires(receiver, name, seconds=60):
    """Wait until an alert reached the webhook, with its runbook."""
    receiver.resolved.pop(name, None)
    await receiver.until(lambda: name in receiver.firing, seconds)
    annotations = receiver.firing[name]["annotations"]
    assert annotations["runbook_url"] == f"docs/runbooks/{name}.md"
    assert annotations["summary"]


async def resolves(receiver, name, seconds=120):
    """Wait until an alert is resolved."""
    await receiver.until(lambda: name in receiver.resolved, seconds)
    receiver.firing.pop(name)
