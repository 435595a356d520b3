"""The worker of the platform's roles: one that refused its state shows why for a while."""

from __future__ import annotations

from k2stream.batch import BatchWorker
from k2stream.model.errors import StateRefused
from k2stream.standing import stand


class Worker(BatchWorker):
    """A BatchWorker whose pages say for `app.refused_seconds` that its state was refused."""

    def on_refused(self, refused: StateRefused) -> None:
        """Stand in for the pages of the worker."""
        seconds, key = getattr(self.app, "refused_seconds", 0.0), getattr(self.app, "web_key", "")
        stand(self.app, refused, seconds, key)
