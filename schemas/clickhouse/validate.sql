-- The queries of `k2 validate`: each gives the rows that are wrong, so none when all is well. A check starts with
-- `-- check: name | what it proves`. Filled in: the database, since (rows received, windows ended from then on),
-- settled (what is newer may still be on its way), grace (µs). Layers are compared by the position of the raw
-- record, which every row carries, and only as far as silver is known to be durable (sink_positions).

-- check: bronze_binance_symbols | Binance symbols stand in bronze as Binance writes them: BTCUSDT
SELECT s, raw_partition, raw_offset FROM ${database}.bronze_trades_binance
WHERE receive_time >= ${since} AND NOT match(s, '^[A-Z0-9]+$$');

-- check: bronze_kraken_pairs | Kraken pairs stand in bronze as Kraken writes them: XBT/USD and XDG/USD, not BTC or DOGE
SELECT pair, raw_partition, raw_offset FROM ${database}.bronze_trades_kraken
WHERE receive_time >= ${since} AND (NOT match(pair, '^[A-Z0-9.]+/[A-Z0-9.]+$$') OR match(pair, '(^|/)(BTC|DOGE)(/|$$)'));

-- check: bronze_coinbase_products | Coinbase products stand in bronze as Coinbase writes them: BTC-USD
SELECT product_id, raw_partition, raw_offset FROM ${database}.bronze_trades_coinbase
WHERE receive_time >= ${since} AND NOT match(product_id, '^[A-Z0-9]+-[A-Z0-9]+$$');

-- check: bronze_literals | numbers and times in bronze are the exchange's own text
SELECT exchange, field, value, raw_partition, raw_offset FROM
(
    SELECT exchange, raw_partition, raw_offset, receive_time,
           arrayJoin([('price', price), ('quantity', quantity)]) AS pair,
           pair.1 AS field, pair.2 AS value, '^[0-9]+(\\.[0-9]*)?([eE][+-]?[0-9]+)?$$' AS form
    FROM ${database}.bronze_trades_view
    UNION ALL
    SELECT 'kraken', raw_partition, raw_offset, receive_time, ('', ''), 'time', time, '^[0-9]+(\\.[0-9]+)?$$'
    FROM ${database}.bronze_trades_kraken FINAL
    UNION ALL
    SELECT 'coinbase', raw_partition, raw_offset, receive_time, ('', ''), 'time', time,
           '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]*)?(Z|\\+00:00)$$'
    FROM ${database}.bronze_trades_coinbase FINAL
)
WHERE receive_time >= ${since} AND (length(value) = 0 OR NOT match(value, form));

-- check: bronze_duplicates | a raw record stands in bronze once
SELECT exchange, raw_partition, raw_offset, count() AS times FROM ${database}.bronze_trades_view
WHERE receive_time >= ${since}
GROUP BY exchange, raw_partition, raw_offset HAVING times > 1;

-- check: silver_symbols | canonical symbols are BASE/QUOTE, Kraken's XBT and XDG are BTC and DOGE there, symbol stays native
SELECT exchange, symbol, canonical_symbol, raw_partition, raw_offset FROM ${database}.silver_trades
WHERE receive_time >= ${since} AND (
    NOT match(canonical_symbol, '^[A-Z0-9.]+/[A-Z0-9.]+$$')
    OR (exchange = 'kraken' AND (match(canonical_symbol, '(^|/)(XBT|XDG)(/|$$)') OR match(symbol, '(^|/)(BTC|DOGE)(/|$$)')
                                 OR (symbol LIKE 'XBT/%') != (canonical_symbol LIKE 'BTC/%'))));

-- check: silver_side | side is the taker's: Binance m, Kraken b and s, Coinbase's maker side turned round
SELECT s.exchange, s.symbol, s.trade_id, b.side AS expected, toString(s.side) AS found, s.raw_partition, s.raw_offset
FROM (SELECT * FROM ${database}.silver_trades FINAL WHERE receive_time >= ${since}) AS s
INNER JOIN (SELECT * FROM ${database}.bronze_trades_view WHERE receive_time >= ${since}) AS b
    ON s.exchange = b.exchange AND s.raw_partition = b.raw_partition AND s.raw_offset = b.raw_offset
WHERE expected != found;

-- check: silver_values | symbol, id, price, quantity and time are those of the raw record
SELECT s.exchange, s.symbol, s.trade_id, toString(s.price) AS price, b.price AS raw_price,
       toString(s.quantity) AS quantity, b.quantity AS raw_quantity, s.timestamp AS time, b.timestamp AS raw_time,
       s.raw_partition, s.raw_offset
FROM (SELECT * FROM ${database}.silver_trades FINAL WHERE receive_time >= ${since}) AS s
INNER JOIN (SELECT * FROM ${database}.bronze_trades_view WHERE receive_time >= ${since}) AS b
    ON s.exchange = b.exchange AND s.raw_partition = b.raw_partition AND s.raw_offset = b.raw_offset
WHERE s.symbol != b.symbol OR (b.id != '' AND s.trade_id != b.id) OR s.timestamp != b.timestamp
    OR toDecimal256OrZero(b.price, 18) != s.price OR toDecimal256OrZero(b.quantity, 18) != s.quantity;

-- check: silver_vendor_data | vendor_data keeps the exchange's own fields as it wrote them
SELECT s.exchange, s.symbol, s.trade_id, b.vendor_data AS expected, s.vendor_data AS found, s.raw_partition, s.raw_offset
FROM (SELECT * FROM ${database}.silver_trades FINAL WHERE receive_time >= ${since}) AS s
INNER JOIN (SELECT * FROM ${database}.bronze_trades_view WHERE receive_time >= ${since}) AS b
    ON s.exchange = b.exchange AND s.raw_partition = b.raw_partition AND s.raw_offset = b.raw_offset
WHERE arrayExists((name, value) -> s.vendor_data[name] != value, mapKeys(b.vendor_data), mapValues(b.vendor_data));

-- check: silver_duplicates | an id stands in silver once in each of its numberings; an aggregate's are those it stands for
SELECT exchange, symbol, any(trade_id) AS id, count() AS times FROM (SELECT * FROM ${database}.silver_trades FINAL)
WHERE receive_time >= ${since}
GROUP BY exchange, symbol, has(trade_conditions, 'aggregated') AS aggregated,
    if(aggregated, concat(vendor_data['f'], '-', vendor_data['l']), trade_id),
    arrayFilter(condition -> startsWith(condition, 'epoch:'), trade_conditions) HAVING times > 1;

-- check: silver_missing | every usable trade of bronze is in silver, but for what an exchange sent twice
SELECT b.exchange, b.symbol, b.id, b.raw_partition, b.raw_offset
FROM
(
    SELECT *, row_number() OVER (
               PARTITION BY exchange, symbol, aggregated, if(aggregated, concat(vendor_data['f'], '-', vendor_data['l']), id),
                   toDecimal256OrZero(price, 18), toDecimal256OrZero(quantity, 18), side, toUnixTimestamp64Milli(timestamp)
               ORDER BY raw_partition, raw_offset) AS copy
    FROM ${database}.bronze_trades_view
    WHERE receive_time >= ${since} - INTERVAL 1 DAY
        AND (match(price, '^[0-9]{1,20}(\\.[0-9]{1,18})?$$') OR match(price, '[eE]'))
        AND (match(quantity, '^[0-9]{1,20}(\\.[0-9]{1,18})?$$') OR match(quantity, '[eE]'))
        AND toDecimal128OrZero(price, 18) > 0 AND toDecimal128OrZero(quantity, 18) > 0
        AND toDecimal128OrZero(quantity, 18) < 10000000000000
        AND toDecimal256(toDecimal128OrZero(price, 18), 18) * toDecimal256(toDecimal128OrZero(quantity, 18), 18) < 10000000000000
        AND timestamp >= toDateTime64('2009-01-01 00:00:00', 6, 'UTC')
) AS b
INNER JOIN ${database}.silver_marks_view AS mark ON mark.exchange = b.exchange AND mark.raw_partition = b.raw_partition
LEFT ANTI JOIN (SELECT * FROM ${database}.silver_trades WHERE receive_time >= ${since} - INTERVAL 1 DAY) AS s
    ON s.exchange = b.exchange AND s.raw_partition = b.raw_partition AND s.raw_offset = b.raw_offset
WHERE (b.copy = 1 OR b.id = '') AND (b.exchange, b.raw_partition, b.raw_offset) NOT IN (
        SELECT 'kraken', raw_partition, raw_offset FROM
        (
            SELECT *, row_number() OVER (
                PARTITION BY pair, price, volume, time, side, orderType, nth ORDER BY raw_offset) AS copy
            FROM
            (
                SELECT *, row_number() OVER (
                    PARTITION BY pair, price, volume, time, side, orderType, connection ORDER BY raw_offset) AS nth
                FROM ${database}.bronze_trades_kraken FINAL
                WHERE receive_time >= ${since} - INTERVAL 1 DAY AND connection NOT LIKE '%-rest-%'
            )
        )
        WHERE copy > 1) AND b.receive_time >= ${since} AND b.receive_time < ${settled}
    AND b.raw_offset <= mark.raw_offset
    AND b.timestamp >= now() - INTERVAL 30 DAY;

-- check: silver_unknown | every trade of silver has its raw record in bronze, for the 7 days that bronze keeps
SELECT s.exchange, s.symbol, s.trade_id, s.raw_partition, s.raw_offset
FROM (SELECT * FROM ${database}.silver_trades FINAL WHERE receive_time >= ${since}) AS s
LEFT ANTI JOIN (SELECT * FROM ${database}.bronze_trades_view WHERE receive_time >= ${since}) AS b
    ON s.exchange = b.exchange AND s.raw_partition = b.raw_partition AND s.raw_offset = b.raw_offset
WHERE s.receive_time < ${settled} AND s.receive_time >= now() - INTERVAL 7 DAY;

-- check: silver_times | a trade is received before it is processed, and not before it happened (5 s for clocks that differ)
SELECT exchange, symbol, trade_id, timestamp, receive_time, process_time FROM ${database}.silver_trades
WHERE receive_time >= ${since} AND (process_time < receive_time OR timestamp > receive_time + INTERVAL 5 SECOND);

-- check: silver_lateness | at most 1 of 100 trades of an exchange came too late for its window (fewer than 10 do not count)
SELECT exchange, countIf(late) AS late_trades, count() AS trades
FROM
(
    SELECT exchange, receive_time, NOT has(trade_conditions, 'backfilled') AND (intDiv(at, 60000000) + 1) * 60000000
               <= max(reached) OVER (PARTITION BY exchange, symbol ORDER BY raw_partition, raw_offset) - ${grace} AS late
    FROM (SELECT *, toUnixTimestamp64Micro(timestamp) AS at, least(at, toUnixTimestamp64Micro(receive_time) + 1000000) AS reached
          FROM ${database}.silver_trades FINAL)
    WHERE receive_time >= ${since}
)
GROUP BY exchange HAVING late_trades >= 10 AND late_trades * 100 > trades;

-- check: layer_counts | bronze, less what was sent twice or cannot be used, counts as many trades per exchange as silver, for its 7 days
SELECT exchange, sumIf(1, layer = 'bronze') AS in_bronze, sumIf(1, layer = 'silver') AS in_silver
FROM
(
    SELECT 'bronze' AS layer, exchange, raw_partition, raw_offset, timestamp FROM
    (
        SELECT *, row_number() OVER (
               PARTITION BY exchange, symbol, aggregated, if(aggregated, concat(vendor_data['f'], '-', vendor_data['l']), id),
                   toDecimal256OrZero(price, 18), toDecimal256OrZero(quantity, 18), side, toUnixTimestamp64Milli(timestamp)
               ORDER BY raw_partition, raw_offset) AS copy
        FROM ${database}.bronze_trades_view
        WHERE receive_time >= ${since} - INTERVAL 1 DAY
            AND (match(price, '^[0-9]{1,20}(\\.[0-9]{1,18})?$$') OR match(price, '[eE]'))
            AND (match(quantity, '^[0-9]{1,20}(\\.[0-9]{1,18})?$$') OR match(quantity, '[eE]'))
            AND toDecimal128OrZero(price, 18) > 0 AND toDecimal128OrZero(quantity, 18) > 0
            AND toDecimal128OrZero(quantity, 18) < 10000000000000
            AND toDecimal256(toDecimal128OrZero(price, 18), 18) * toDecimal256(toDecimal128OrZero(quantity, 18), 18) < 10000000000000
            AND timestamp >= toDateTime64('2009-01-01 00:00:00', 6, 'UTC')
    )
    WHERE (copy = 1 OR id = '') AND (exchange, raw_partition, raw_offset) NOT IN (
        SELECT 'kraken', raw_partition, raw_offset FROM
        (
            SELECT *, row_number() OVER (
                PARTITION BY pair, price, volume, time, side, orderType, nth ORDER BY raw_offset) AS copy
            FROM
            (
                SELECT *, row_number() OVER (
                    PARTITION BY pair, price, volume, time, side, orderType, connection ORDER BY raw_offset) AS nth
                FROM ${database}.bronze_trades_kraken FINAL
                WHERE receive_time >= ${since} - INTERVAL 1 DAY AND connection NOT LIKE '%-rest-%'
            )
        )
        WHERE copy > 1) AND receive_time >= greatest(${since}, now() - INTERVAL 7 DAY) AND receive_time < ${settled}
    UNION ALL
    SELECT 'silver', exchange, raw_partition, raw_offset, timestamp FROM ${database}.silver_trades FINAL
    WHERE receive_time >= greatest(${since}, now() - INTERVAL 7 DAY) AND receive_time < ${settled}
) AS layers
INNER JOIN ${database}.silver_marks_view AS mark USING (exchange, raw_partition)
WHERE layers.raw_offset <= mark.raw_offset AND layers.timestamp >= now() - INTERVAL 30 DAY
GROUP BY exchange HAVING in_bronze != in_silver;

-- check: candle_values | low <= open, close, vwap <= high; taker volumes are part of the volumes; all are above zero
SELECT timeframe, exchange, canonical_symbol, open_time, low, open, close, high, vwap, volume, taker_buy_volume
FROM ${database}.ohlcv_view
WHERE close_time >= ${since} AND (low > least(open, close, vwap) OR high < greatest(open, close, vwap) OR low <= 0
    OR volume <= 0 OR quote_volume < 0 OR taker_buy_volume < 0 OR taker_buy_volume > volume
    OR taker_buy_quote_volume > quote_volume OR trade_count <= 0);

-- check: candle_windows | windows start at multiples of their length, end 1 ms before the next, and hold their trades
SELECT timeframe, exchange, canonical_symbol, open_time, close_time, first_trade_time, last_trade_time
FROM (SELECT *, transform(timeframe, ['1m', '5m', '15m', '30m', '1h', '1d'], [60, 300, 900, 1800, 3600, 86400], 0) AS length,
             toUnixTimestamp64Milli(open_time) AS opened
      FROM ${database}.ohlcv_view)
WHERE close_time >= ${since} AND (length = 0 OR opened % (length * 1000) != 0
    OR toUnixTimestamp64Milli(close_time) != opened + length * 1000 - 1
    OR first_trade_time < open_time OR toUnixTimestamp64Milli(last_trade_time) > opened + length * 1000 - 1
    OR first_trade_time > last_trade_time);

-- check: candle_duplicates | a candle stands in its view once
SELECT timeframe, exchange, canonical_symbol, open_time, count() AS times FROM ${database}.ohlcv_view
WHERE close_time >= ${since}
GROUP BY timeframe, exchange, canonical_symbol, open_time HAVING times > 1;

-- check: candle_rollup | 5, 15, 30 and 60 minutes and all of a day make their candle, digit for digit
SELECT timeframe, exchange, canonical_symbol, fromUnixTimestamp64Milli(opened, 'UTC') AS open_time,
       small.parts AS minutes, large.present AS present, small.volume AS minutes_volume, large.volume AS candle_volume,
       small.trades AS minutes_trades, large.trades AS candle_trades
FROM
(
    SELECT exchange, canonical_symbol, span.1 AS timeframe,
           intDiv(toUnixTimestamp64Milli(open_time), span.2) * span.2 AS opened, opened + span.2 AS ends, count() AS parts,
           argMin(m.open, m.open_time) AS open, max(m.high) AS high, min(m.low) AS low,
           argMax(m.close, m.open_time) AS close,
           sum(toDecimal256(m.volume, 18)) AS volume, sum(toDecimal256(m.taker_buy_volume, 18)) AS taker,
           sum(toDecimal256(m.quote_volume, 18)) AS quote, sum(m.trade_count) AS trades
    FROM ${database}.ohlcv_1m_view AS m
    ARRAY JOIN [('5m', 300000), ('15m', 900000), ('30m', 1800000), ('1h', 3600000), ('1d', 86400000)] AS span
    WHERE m.open_time >= toStartOfDay(${since})
    GROUP BY exchange, canonical_symbol, timeframe, opened, ends
) AS small
FULL OUTER JOIN
(
    SELECT exchange, canonical_symbol, timeframe, toUnixTimestamp64Milli(open_time) AS opened,
           toUnixTimestamp64Milli(close_time) + 1 AS ends, 1 AS present, o.open AS open, o.high AS high, o.low AS low,
           o.close AS close, toDecimal256(o.volume, 18) AS volume, toDecimal256(o.taker_buy_volume, 18) AS taker,
           toDecimal256(o.quote_volume, 18) AS quote, o.trade_count AS trades
    FROM ${database}.ohlcv_view AS o WHERE timeframe != '1m' AND open_time >= toStartOfDay(${since})
) AS large USING (exchange, canonical_symbol, timeframe, opened)
WHERE greatest(small.ends, large.ends) BETWEEN toUnixTimestamp64Milli(toDateTime64(${since}, 3)) AND toUnixTimestamp64Milli(toDateTime64(${settled}, 3))
    AND (small.open != large.open OR small.high != large.high OR small.low != large.low OR small.close != large.close
         OR small.volume != large.volume OR small.taker != large.taker OR small.trades != large.trades
         OR abs(small.quote - large.quote) > small.parts * toDecimal256('0.000000000000000001', 18));

-- check: candle_volume | trades, volume, high and low of a minute are those of its trades in silver that were not late
SELECT exchange, canonical_symbol, fromUnixTimestamp64Milli(opened, 'UTC') AS open_time,
       t.trades AS silver_trades, c.trades AS candle_trades, t.volume AS silver_volume, c.volume AS candle_volume
FROM
(
    SELECT exchange, canonical_symbol, intDiv(at, 60000000) * 60000 AS opened, sum(r.trade_count) AS trades,
           sum(toDecimal256(quantity, 18)) AS volume, sumIf(toDecimal256(quantity, 18), r.side = 'BUY') AS taker,
           max(r.price) AS high, min(r.price) AS low, max(r.process_time) AS processed
    FROM
    (
        SELECT *, max(reached) OVER (PARTITION BY exchange, symbol ORDER BY raw_partition, raw_offset) AS newest
        FROM (SELECT *, toUnixTimestamp64Micro(timestamp) AS at, least(at, toUnixTimestamp64Micro(receive_time) + 1000000) AS reached
              FROM ${database}.silver_trades FINAL
              WHERE timestamp >= toStartOfMinute(${since}))
    ) AS r
    WHERE (intDiv(at, 60000000) + 1) * 60000000 > newest - ${grace} OR has(trade_conditions, 'backfilled')
    GROUP BY exchange, canonical_symbol, opened
) AS t
FULL OUTER JOIN
(
    SELECT m.exchange AS exchange, canonical_symbol, toUnixTimestamp64Milli(open_time) AS opened, m.trade_count AS trades,
           toDecimal256(m.volume, 18) AS volume, toDecimal256(m.taker_buy_volume, 18) AS taker, m.high AS high, m.low AS low,
           m.raw_offset AS at_offset, mark.raw_offset AS held_offset
    FROM ${database}.ohlcv_1m_view AS m
    LEFT JOIN ${database}.silver_marks_view AS mark
        ON mark.exchange = m.exchange AND mark.raw_partition = m.raw_partition
    WHERE open_time >= toStartOfMinute(${since})
) AS c USING (exchange, canonical_symbol, opened)
WHERE opened BETWEEN toUnixTimestamp64Milli(toDateTime64(greatest(${since}, now() - INTERVAL 30 DAY), 3))
                 AND toUnixTimestamp64Milli(toDateTime64(${settled}, 3)) - 60000
    AND t.processed < ${settled} AND c.at_offset <= c.held_offset
    AND (t.trades != c.trades OR t.volume != c.volume OR t.taker != c.taker OR t.high != c.high OR t.low != c.low);

-- check: kline_checks | what was compared with an exchange's kline is a final candle, in that revision or an older one
SELECT k.exchange AS exchange, k.canonical_symbol AS canonical_symbol, k.timeframe AS timeframe, k.open_time AS open_time,
       k.revision AS compared, o.revision AS stored, o.final AS final
FROM ${database}.kline_checks AS k
LEFT JOIN
(
    SELECT exchange, canonical_symbol, timeframe, open_time, revision, final FROM ${database}.ohlcv_view
    WHERE (exchange, canonical_symbol, timeframe, open_time) IN
        (SELECT exchange, canonical_symbol, timeframe, open_time FROM ${database}.kline_checks WHERE checked_time >= ${since})
) AS o USING (exchange, canonical_symbol, timeframe, open_time)
WHERE k.checked_time BETWEEN ${since} AND ${settled} AND (NOT o.final OR o.revision < k.revision);
