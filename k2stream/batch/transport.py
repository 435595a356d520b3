"""Entry point of the Faust transport ``k2batch://``."""

from __future__ import annotations

from typing import Any

from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import aiokafka as driver
from faust.types import AppT
from faust.types.enums import ProcessingGuarantee
from yarl import URL

from k2stream.batch._app import BatchApp
from k2stream.batch._consumer import Consumer
from k2stream.batch._producer import Producer


class Transport(driver.Transport):
    """Faust's aiokafka transport with batch delivery for topics declared with BatchSchema."""

    Consumer = Consumer
    Producer = Producer

    def __init__(self, url: list[URL], app: AppT, **kwargs: Any) -> None:
        super().__init__(url, app, **kwargs)
        if not isinstance(app, BatchApp):
            raise ImproperlyConfigured(
                f"app {app.conf.id}: k2batch:// needs a k2stream.batch.BatchApp in place of the faust.App"
            )
        guarantee: object = app.conf.processing_guarantee  # Faust declares it as the class
        if guarantee is not ProcessingGuarantee.AT_LEAST_ONCE:
            raise ImproperlyConfigured(
                "k2batch: processing_guarantee must be at_least_once; make results idempotent by position"
            )
