-- Trades as they read: each once, whatever a replay brought again, with what they were worth.
CREATE OR REPLACE VIEW ${database}.silver_trades_view AS
SELECT *, price * quantity AS notional FROM ${database}.silver_trades FINAL;

-- Bronze of all exchanges in silver's terms, by the exchanges' own rules: what `k2 validate` holds silver to.
CREATE OR REPLACE VIEW ${database}.bronze_trades_view AS
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
        toUnixTimestamp64Second(parseDateTime64BestEffort(concat(substring(time, 1, 19), 'Z'), 0, 'UTC')) * 1000000
            + toInt64(rightPad(substring(extract(time, '\\.([0-9]*)'), 1, 6), 6, '0')), 'UTC'),
    map('type', toString(type)),
    receive_time, raw_partition, raw_offset
FROM ${database}.bronze_trades_coinbase FINAL;
