"""Runs with the code of an earlier release: a platform that trades, then one trade dated a day ahead.

python earlier_release.py FOLDER SECONDS, in a folder that has that release's `k2stream`.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from importlib import import_module
from typing import Any

from aiokafka import AIOKafkaProducer

from k2stream import topics
from k2stream.commands.demo import drain
from k2stream.settings import environment, load

DAY_SECONDS = 86_400

PLACES = ("k2stream.local.platform", "k2stream.platform.platform")
"""Where releases have the platform: up to 0.1.0, and since then."""


def platform_module() -> Any:
    """The module of the release that runs this."""
    for place in PLACES:
        with suppress(ModuleNotFoundError):
            return import_module(place)
    raise ModuleNotFoundError(f"none of {PLACES}")


async def main(folder: str, seconds: float) -> None:
    settings = load({**os.environ, "K2_DATA_DIR": folder, "K2_COLD_COMMIT_SECONDS": "5.0"})
    release = platform_module()
    async with release.Platform(settings, release.Simulation(100, 7)) as platform:
        await asyncio.sleep(seconds)
        await platform.stop_feeds()
        await drain(platform)
        now = time.time_ns() // 1000
        trade: dict[str, object] = {"pair": "XBT/USD", "price": "50000.10000", "volume": "0.10000000"}
        trade |= {
            "time": f"{now // 1_000_000 + DAY_SECONDS}.000000",
            "side": "b",
            "orderType": "l",
            "misc": "",
        }
        trade |= {"k2_recv": now, "k2_conn": "ahead", "k2_seq": 0}
        bootstrap = environment(platform.settings)["K2_KAFKA_BOOTSTRAP"]
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            await producer.send_and_wait(
                topics.raw("kraken"),
                json.dumps(trade, separators=(",", ":")).encode(),
                b"XBT/USD",
                partition=0,
            )
        await drain(platform)


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
