"""Asks ClickHouse beside the event loop, and answers for it when it does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from k2stream.model.errors import ConfigError
from k2stream.web.query import RequestError

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def asked(read: Callable[[], T]) -> T:
    """What a store answers. Raises RequestError 503 if it does not."""
    try:
        return await asyncio.to_thread(read)
    except ConfigError as error:
        raise RequestError(503, str(error)) from None
    except Exception as error:  # any error of its client
        logger.warning("ClickHouse is unavailable: %s", " ".join(str(error).split())[:200])
        raise RequestError(503, "ClickHouse does not answer, ask again") from None
