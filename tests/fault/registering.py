"""Registers all schemas as the workers do, and prints {subject's topic: schema id} as JSON."""

import asyncio
import json
import sys

from k2stream import topics
from k2stream.avro import registry
from k2stream.settings import KafkaSettings, RegistryAddress


async def main(url):
    named = {topic.name: topic.schema for topic in topics.declared(KafkaSettings()) if topic.schema != "json"}
    address = RegistryAddress(url)
    ids = await asyncio.gather(
        *(registry.register(topic, schema, address) for topic, schema in named.items())
    )
    print(json.dumps(dict(zip(named, ids, strict=True))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
