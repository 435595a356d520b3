"""Faust transport ``k2batch://``: the entry point."""

from __future__ import annotations

from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import aiokafka as driver

from k2stream.batch._consumer import Consumer
from k2stream.batch._producer import Producer


class Transport(driver.Transport):
    """Faust's aiokafka transport with batch delivery for topics declared with BatchSchema."""

    Consumer = Consumer
    Producer = Producer

    def __init__(self, url: Any, app: Any, **kwargs: Any) -> None:
        super().__init__(url, app, **kwargs)
        if app.conf.processing_guarantee.value != "at_least_once":
            raise ImproperlyConfigured(
                "k2batch: processing_guarantee must be at_least_once; make results idempotent by position"
            )
