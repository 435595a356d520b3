-- Bronze of all exchanges in silver's terms, by the exchanges' own rules: what `k2 validate` holds silver to.
CREATE VIEW IF NOT EXISTS ${database}.bronze_trades_view AS
SELECT
    'binance' AS exchange, toString(s) AS symbol, toString(ifNull(if(e = 'aggTrade', a, t), 0)) AS id,
    e = 'aggTrade' AS aggregated, p AS price, q AS quantity,
    if(m, 'SELL', 'BUY') AS side, -- the buyer is the maker: the taker sold
    fromUnixTimestamp64Micro(if(T < 10000000000000, T * 1000, T), 'UTC') AS timestamp,
    mapFilter((name, value) -> value != '', map(
        'E', toString(ifNull(E, 0)),
        'a', if(e = 'trade', ifNull(toString(a), ''), ''),
        'b', ifNull(toString(b), ''),
        'f', ifNull(toString(f), ''),
        'l', ifNull(toString(l), ''))) AS vendor_data,
    receive_time, raw_partition, raw_offset
FROM ${database}.bronze_trades_binance FINAL
UNION ALL
SELECT
    'kraken', toString(pair), '', false, price, volume,
    if(side = 'b', 'BUY', 'SELL'), -- the taker's
    fromUnixTimestamp64Micro(
        toInt64(splitByChar('.', time)[1]) * 1000000
            + toInt64(rightPad(substring(splitByChar('.', concat(time, '.'))[2], 1, 6), 6, '0')), 'UTC'),
    map('orderType', toString(orderType), 'misc', misc),
    receive_time, raw_partition, raw_offset
FROM ${database}.bronze_trades_kraken FINAL
UNION ALL
SELECT
    'coinbase', toString(product_id), trade_id, false, price, size,
    if(side = 'SELL', 'BUY', 'SELL'), -- the maker's: the taker is on the other one
    fromUnixTimestamp64Micro(
        toInt64(toUnixTimestamp(parseDateTimeBestEffort(concat(substring(time, 1, 19), 'Z'), 'UTC'))) * 1000000
            + toInt64(rightPad(substring(extract(time, '\\.([0-9]*)'), 1, 6), 6, '0')), 'UTC'),
    map('type', toString(type)),
    receive_time, raw_partition, raw_offset
FROM ${database}.bronze_trades_coinbase FINAL;

-- Candles of all timeframes.
CREATE VIEW IF NOT EXISTS ${database}.ohlcv_view AS
SELECT * FROM ${database}.ohlcv_1m_view
UNION ALL SELECT * FROM ${database}.ohlcv_5m_view
UNION ALL SELECT * FROM ${database}.ohlcv_15m_view
UNION ALL SELECT * FROM ${database}.ohlcv_30m_view
UNION ALL SELECT * FROM ${database}.ohlcv_1h_view
UNION ALL SELECT * FROM ${database}.ohlcv_1d_view;

-- The highest raw offset of each exchange's partitions that silver is known to hold.
CREATE VIEW IF NOT EXISTS ${database}.silver_marks_view AS
SELECT
    splitByChar(':', mark.1)[1] AS exchange,
    toInt32(splitByChar(':', mark.1)[2]) AS raw_partition,
    max(mark.2) AS raw_offset
FROM (SELECT arrayJoin(arrayZip(mapKeys(marks), mapValues(marks))) AS mark
      FROM ${database}.sink_positions WHERE table = 'silver_trades')
GROUP BY exchange, raw_partition;
