"""The platform's rules as SQL, stated a second time: from raw JSON to bronze and trades.

Whole numbers throughout: prices and quantities are Int256 at scale 18, times µs.
"""

from __future__ import annotations

from k2stream.reconcile.oracle import venues

BOUND_US = 1_000_000
"""A trade dated further ahead of its arrival than this moves its symbol's time on by no more."""

AHEAD_US = 300_000_000
"""A trade dated further ahead of its arrival than this is marked."""

EARLIEST_US = 1_230_768_000_000_000
"""2009: a trade that says it was before is none."""

REMEMBERED, OVERLAP_US = 512, 60_000_000
"""An id that comes again after so many others is an old trade, unless it is newer than all by so much."""

_SCALE = "toDecimal256('1000000000000000000', 0)"
_MOST_QUOTE, _MOST = (f"toInt256('1{'0' * (13 + scale)}')" for scale in (36, 18))
"""10^13 is too much: sums of many trades fit decimal(38, 18)."""

INGEST = {"k2_recv": "Int64", "k2_conn": "String", "k2_seq": "Int64", "k2_backfilled": "Nullable(Bool)"}


def scaled(text: str) -> str:
    """SQL of a decimal, or its text, as Int256 at scale 18."""
    return f"toInt256(toDecimal256({text}, 18) * {_SCALE})"


def pairs(column: str) -> str:
    """SQL of a map as one text, whatever the order of its entries; empty values count as absent."""
    kept = f"mapFilter((name, value) -> value != '', {column})"
    return (
        "arrayStringConcat(arraySort(arrayMap((name, value) -> concat(name, '=', value), "
        f"mapKeys({kept}), mapValues({kept}))), '\\n')"
    )


def items(column: str) -> str:
    """SQL of an array of strings as one text."""
    return f"arrayStringConcat({column}, '\\n')"


def native(exchange: str, path: str) -> str:
    """The raw records that some layer can have, in bronze's columns, from the Parquet file of `raw.py`."""
    venue = venues.of(exchange)
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
    """The readable records of `native_<exchange>` as trades, good or not."""

    price, quantity = (scaled(f"if({name} = '', '0', {name})") for name in ("plain_price", "plain_quantity"))
    return f"""
        SELECT '{exchange}' AS exchange, raw_partition, raw_offset, required, cold, received AS receive_time,
            backfilled, connection, concat(connection, ':', toString(ingest_sequence)) AS fetch,
            {venues.of(exchange).canonical}, {price} AS price, {quantity} AS quantity,
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
        (toUInt64(0), CAST([], 'Array(Tuple(Int64, Int64))'))).2) AS told,
        told.1 AS raw_offset, told.2 AS nth
    FROM (SELECT *, row_number() OVER (
              PARTITION BY {_CONTENT}, connection ORDER BY raw_offset) AS of_connection
          FROM read_trades WHERE id = '' AND good)
    GROUP BY {_CONTENT}"""
"""Of exchanges without ids what is new, and the how manieth of its likes it is.

What a connection tells the n-th time is new when there were not n yet; what was fetched later always is.
"""

_MADE = """lower(leftPad(hex(CRC32(concat(
    likeness, multiIf(backfilled, fetch, nth > 1, concat('|', toString(nth - 1)), '')))), 8, '0'))"""

IDENTIFIED = f"""
    SELECT * REPLACE (
            if(id = '', concat(upper(exchange), '-', toString(ts), '-', {_MADE}), trade_id) AS trade_id),
        id != '' AND good AND alike > 1 AND abs(intDiv(ts, 1000) - intDiv(first_ts, 1000)) <= 1 AS copied,
        id != '' AND good AND told > 1 AND NOT copied AS doubtful,
        copied OR (id = '' AND good AND nth = 0)
            OR (doubtful AND place - first_place > {REMEMBERED} AND ts <= newest + {OVERLAP_US}) AS duplicate
    FROM (
        SELECT r.*, n.nth AS nth,
            row_number() OVER told_so AS told, first_value(place) OVER told_so AS first_place,
            row_number() OVER said_so AS alike, first_value(ts) OVER said_so AS first_ts
        FROM (
            SELECT *, row_number() OVER ({_SYMBOL}) AS place,
                max(ts) OVER ({_SYMBOL} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest
            FROM read_trades) AS r
        LEFT JOIN ({TOLD}) AS n
            ON n.exchange = r.exchange AND n.symbol = r.symbol AND n.raw_offset = r.raw_offset
        WINDOW
            told_so AS (PARTITION BY exchange, symbol, aggregated, id, good ORDER BY raw_offset),
            said_so AS (PARTITION BY exchange, symbol, aggregated, id, good, price, quantity, taker
                        ORDER BY raw_offset))"""
"""Trades with the ids of those that have none, which of them are copies, and which are in doubt.

The same id with the same content is a copy. With another content it is a trade, or a dead letter; a copy when
so many others came between that nobody remembers, and it is not newer. Made ids are of time and content,
and of the ordinal among its likes.
"""

TIMED = """
    SELECT *, intDiv(ts, 60000000) * 60000000 + 60000000 AS minute_end,
        NOT backfilled AND minute_end + {grace} <= max(least(ts, receive_time + {bound})) OVER (
            PARTITION BY exchange, symbol ORDER BY raw_offset
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS late
    FROM trades WHERE kept"""
"""Kept trades and whether each is late: its minute ended a grace before its symbol's time as it came."""


SILVER = f"""
    SELECT exchange, raw_partition, raw_offset, required, unsure, late, ts AS timestamp, receive_time,
        price, quantity, taker AS side, sequence, weight AS trade_count, symbol, canonical_symbol, trade_id,
        {pairs("vendor")} AS vendor_data,
        arrayStringConcat(arrayFilter(x -> x != '', [
            if(aggregated, 'aggregated', ''), if(backfilled, 'backfilled', '')]), '\\n') AS trade_conditions,
        if(ts > receive_time + {AHEAD_US}, 'timestamp ahead of receive time', '') AS validation_errors
    FROM timed"""
"""Kept trades in silver's columns, those that are late among them."""
