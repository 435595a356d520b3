"""A second, independent definition of the platform's rules in SQL: from raw JSON to bronze and trades.

All numbers are integers: prices and quantities are Int256 at scale 18, times are µs.
"""

from __future__ import annotations

from k2stream.reconcile.oracle import venues

BOUND_US = 1_000_000
"""The most (µs) by which a trade dated ahead of its arrival advances its symbol's event time."""

AHEAD_US = 300_000_000
"""A trade dated further ahead (µs) of its arrival than this is marked."""

EARLIEST_US = 1_230_768_000_000_000
"""The year 2009: an earlier trade time makes a trade invalid."""

REMEMBERED, OVERLAP_US = 512, 60_000_000
"""An id repeated after over REMEMBERED trades is an old trade, unless OVERLAP_US newer than all."""

_SCALE = "toDecimal256('1000000000000000000', 0)"
_MOST_QUOTE, _MOST = (f"toInt256('1{'0' * (13 + scale)}')" for scale in (36, 18))
"""From 10^13 on a value is too large: sums of many trades must fit decimal(38, 18)."""

INGEST = {"k2_recv": "Int64", "k2_conn": "String", "k2_seq": "Int64", "k2_backfilled": "Nullable(Bool)"}


def scaled(text: str) -> str:
    """SQL that converts a decimal, or its text, to Int256 at scale 18."""
    return f"toInt256(toDecimal256({text}, 18) * {_SCALE})"


def pairs(column: str) -> str:
    """SQL that converts a map to one text, in any order of its entries; empty values count as absent."""
    kept = f"mapFilter((name, value) -> value != '', {column})"
    return (
        "arrayStringConcat(arraySort(arrayMap((name, value) -> concat(name, '=', value), "
        f"mapKeys({kept}), mapValues({kept}))), '\\n')"
    )


def items(column: str) -> str:
    """SQL that converts an array of strings to one text."""
    return f"arrayStringConcat({column}, '\\n')"


def native(exchange: str, path: str) -> str:
    """SQL for raw records that a layer may have, in bronze's columns, from the Parquet file of `raw.py`."""
    venue = venues.for_exchange(exchange)
    kinds = ", ".join(f"{name} {kind}" for name, kind in {**venue.columns, **INGEST}.items())
    columns = ", ".join(
        f"""extract(body, '"{name}":\\\\s*"?([^",}}\\\\s]+)') AS {name}"""
        if name in venue.literals
        else f"tupleElement(fields, '{name}') AS {name}"
        for name in venue.columns
    )
    return f"""
        SELECT raw_partition, raw_offset, required, cold, readable, storable, plain_price, plain_quantity,
            JSONExtract(body, 'Tuple({kinds})') AS fields, {columns},
            tupleElement(fields, 'k2_recv') AS received, tupleElement(fields, 'k2_conn') AS connection,
            tupleElement(fields, 'k2_seq') AS ingest_sequence,
            ifNull(tupleElement(fields, 'k2_backfilled'), false) AS backfilled
        FROM file('{path}', Parquet) WHERE readable OR storable"""


def trades(exchange: str) -> str:
    """SQL for the readable records of `native_<exchange>` as trades, valid or not."""

    price, quantity = (scaled(f"if({name} = '', '0', {name})") for name in ("plain_price", "plain_quantity"))
    return f"""
        SELECT '{exchange}' AS exchange, raw_partition, raw_offset, required, cold, received AS receive_time,
            backfilled, connection, concat(connection, ':', toString(ingest_sequence)) AS fetch,
            {venues.for_exchange(exchange).canonical}, {price} AS price, {quantity} AS quantity,
            {price} > 0 AND {quantity} > 0 AND {price} * {quantity} < {_MOST_QUOTE}
                AND {quantity} < {_MOST} AND ts >= {EARLIEST_US} AS good
        FROM native_{exchange} WHERE readable"""


_SYMBOL = "PARTITION BY exchange, symbol ORDER BY raw_offset"
_CONTENT = "exchange, symbol, ts, price, quantity, taker, kind"

TOLD = f"""
    SELECT exchange, symbol, arrayJoin(arrayFold(
        (known, row) -> if(row.3 OR row.2 > known.1,
            (known.1 + 1, arrayPushBack(known.2, (row.1, toInt64(known.1 + 1)))), known),
        arraySort(groupArray((raw_offset, of_connection, backfilled))),
        (toUInt64(0), CAST([], 'Array(Tuple(Int64, Int64))'))).2) AS copy,
        copy.1 AS raw_offset, copy.2 AS nth
    FROM (SELECT *, row_number() OVER (
              PARTITION BY {_CONTENT}, connection ORDER BY raw_offset) AS of_connection
          FROM read_trades WHERE id = '' AND good)
    GROUP BY {_CONTENT}"""
"""For exchanges without ids: which trades are new, and the ordinal of each among equal trades.

The n-th report of a trade by one connection is new if fewer than n were known; a trade that was fetched later
is always new.
"""

_MADE = """lower(leftPad(hex(CRC32(concat(
    likeness, multiIf(backfilled, fetch, nth > 1, concat('|', toString(nth - 1)), '')))), 8, '0'))"""

IDENTIFIED = f"""
    SELECT * REPLACE (
            if(id = '', concat(upper(exchange), '-', toString(ts), '-', {_MADE}), trade_id) AS trade_id),
        id != '' AND good AND alike > 1 AND abs(intDiv(ts, 1000) - intDiv(first_ts, 1000)) <= 1 AS copied,
        if(id = '', good AND NOT backfilled AND newest > own_newest AND ts <= newest,
            good AND repetition > 1 AND NOT copied) AS doubtful,
        copied OR (id = '' AND good AND nth = 0)
            OR (id != '' AND doubtful AND place - first_place > {REMEMBERED}
                AND ts <= newest + {OVERLAP_US}) AS duplicate
    FROM (
        SELECT r.*, n.nth AS nth,
            row_number() OVER same_content AS repetition, first_value(place) OVER same_content AS first_place,
            row_number() OVER said_so AS alike, first_value(ts) OVER said_so AS first_ts
        FROM (
            SELECT *, row_number() OVER ({_SYMBOL}) AS place,
                max(ts) OVER ({_SYMBOL} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest,
                max(ts) OVER (PARTITION BY exchange, symbol, connection ORDER BY raw_offset
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS own_newest
            FROM read_trades) AS r
        LEFT JOIN ({TOLD}) AS n
            ON n.exchange = r.exchange AND n.symbol = r.symbol AND n.raw_offset = r.raw_offset
        WINDOW
            same_content AS (PARTITION BY exchange, symbol, aggregated, id, good ORDER BY raw_offset),
            said_so AS (PARTITION BY exchange, symbol, aggregated, id, good, price, quantity, taker
                        ORDER BY raw_offset))"""
"""Trades with made ids where they have none; marks which trades are copies, and which are doubtful.

The same id with the same content is a copy. With another content, it is a trade or a dead letter; but it is a
copy if it is not newer and too many trades came between to remember it. Made ids consist of time, content,
and the ordinal among equal trades; without ids, a connection that is behind another may have dead letters.
"""

_FIRST = """SELECT exchange, symbol, id, min(raw_offset) AS raw_offset, argMin(ts, r.raw_offset) AS ts,
            toInt64(splitByString('..', id)[1]) AS first, toInt64(splitByString('..', id)[-1]) AS last
        FROM read_trades AS r WHERE id != '' AND good AND {} GROUP BY exchange, symbol, id"""

OVERLAPS = f"""
    SELECT exchange, symbol, p.id AS plain_id, p.raw_offset AS plain, a.id AS aggregate_id,
        a.raw_offset AS aggregate, a.last - a.first + 1 AS weight,
        countIf(p.raw_offset < a.raw_offset) OVER (PARTITION BY exchange, symbol, a.raw_offset) AS earlier
    FROM ({_FIRST.format("NOT aggregated")}) AS p
    ASOF JOIN ({_FIRST.format("aggregated")}) AS a
        ON p.exchange = a.exchange AND p.symbol = a.symbol AND p.first >= a.first
    WHERE p.last <= a.last AND if(plain < aggregate, a.ts - p.ts, p.ts - a.ts) <= {OVERLAP_US}"""
"""Plain trades that an aggregated trade stands for too, and how many of these were `earlier` than it."""

COVERED = """
    SELECT DISTINCT exchange, symbol, aggregate_id AS id, true AS overlapping,
        earlier = weight AS covered
    FROM overlaps WHERE earlier > 0
    UNION ALL
    SELECT exchange, symbol, plain_id AS id, true AS overlapping, true AS covered
    FROM overlaps WHERE earlier = 0 AND plain > aggregate"""
"""Ids of trades that stand for plain ids that came before in the other form; `covered`: for no others."""

TIMED = """
    SELECT *, intDiv(ts, 60000000) * 60000000 + 60000000 AS minute_end,
        NOT backfilled AND minute_end + {grace} <= max(least(ts, receive_time + {bound})) OVER (
            PARTITION BY exchange, symbol ORDER BY raw_offset
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS late
    FROM trades WHERE kept"""
"""Kept trades; `late` if their minute's end plus the grace is not after the symbol's event time."""


SILVER = f"""
    SELECT exchange, raw_partition, raw_offset, required, unsure, late, ts AS timestamp, receive_time,
        price, quantity, taker AS side, sequence, weight AS trade_count, symbol, canonical_symbol, trade_id,
        {pairs("vendor")} AS vendor_data,
        arrayStringConcat(arrayFilter(x -> x != '', [
            if(aggregated, 'aggregated', ''), if(backfilled, 'backfilled', '')]), '\\n') AS trade_conditions,
        if(ts > receive_time + {AHEAD_US}, 'timestamp ahead of receive time', '') AS validation_errors
    FROM timed"""
"""Kept trades in silver's columns, including late ones."""
