"""Every command of `k2`: where it is, and its line in the help, which is shown without importing it."""

from __future__ import annotations

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "up": ("k2stream.commands.up:up", "Run the whole platform on this machine, with a live status view."),
        "demo": ("k2stream.commands.demo:demo", "Run it for a while, then prove that every layer agrees."),
        "worker": (
            "k2stream.commands.worker:worker",
            "Run one worker: ingest, normalize, candles, hot, cold or certify.",
        ),
        "simulate": ("k2stream.commands.simulate:simulate_command", "Run simulated exchanges."),
        "mirror": (
            "k2stream.commands.mirror:mirror",
            "Send a past span of an exchange again, as its live feed.",
        ),
        "reset": ("k2stream.commands.reset:reset", "Delete the data folder of the embedded stack."),
    },
    "Look": {
        "status": ("k2stream.commands.status:status", "Show the state of the running platform."),
        "candles": ("k2stream.commands.candles:candles", "Print a symbol's candles, or follow them."),
        "top": ("k2stream.commands.top:top", "Watch prices, feeds and the pipeline."),
        "trades": ("k2stream.commands.trades:trades", "Print a symbol's trades, or follow them."),
        "symbols": ("k2stream.commands.symbols:symbols", "List the symbols of each exchange."),
        "topics": (
            "k2stream.commands.topics:topics",
            "List the topics: records, partitions, key and schema.",
        ),
        "schemas": ("k2stream.commands.schemas:schemas", "List the Avro schemas, and what the registry has."),
        "sql": ("k2stream.commands.sql:sql", "Ask ClickHouse, in a prompt or once."),
        "dlq": ("k2stream.commands.dlq:dlq", "List, show and replay dead letters."),
        "table": ("k2stream.commands.table:table", "Read a table, now or as it stood at a time."),
        "export": (
            "k2stream.commands.export:export",
            "Write candles or trades into a file, for backtesters too.",
        ),
        "inspect": ("k2stream.commands.inspect:inspect_command", "Read captured frames without any server."),
        "settings": ("k2stream.commands.settings:settings", "List every setting and its value."),
        "completion": (
            "k2stream.commands.completion:completion",
            "Print the script for a shell's completion.",
        ),
    },
    "Check and keep": {
        "doctor": (
            "k2stream.commands.doctor:doctor",
            "Check this machine, the servers and the exchanges, with a fix a line.",
        ),
        "agree": (
            "k2stream.commands.agree:agree",
            "Show whether candles equal the exchanges' own klines.",
        ),
        "explain": (
            "k2stream.commands.explain:explain",
            "Show what a candle was folded from, and verify it.",
        ),
        "verify": (
            "k2stream.commands.verify:verify",
            "Recompute everything from the raw topics and compare.",
        ),
        "validate": (
            "k2stream.commands.validate:validate",
            "Check the ClickHouse layers against each other, a line a check.",
        ),
        "replay": (
            "k2stream.commands.replay:replay",
            "Rebuild everything from the raw records, compare, and swap it in.",
        ),
        "backfill": (
            "k2stream.commands.backfill:backfill",
            "Fetch past trades over REST, and revise their candles.",
        ),
        "mend": (
            "k2stream.commands.mend:mend",
            "Check a role's state against Kafka and the stores, and repair it.",
        ),
        "partitions": (
            "k2stream.commands.partitions:partitions",
            "Show the partition counts, and let one grow.",
        ),
        "migrate": (
            "k2stream.commands.migrate:migrate",
            "Bring registry, ClickHouse and Iceberg up to date.",
        ),
        "refill": (
            "k2stream.commands.refill:refill",
            "Fill a table of a sink from what Kafka still has.",
        ),
        "cold": ("k2stream.commands.cold:cold", "Work with the Iceberg tier."),
    },
}
