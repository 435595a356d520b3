-- The views of the gold tables, and those across exchanges, over numbers of Decimal(76, 18).
CREATE OR REPLACE VIEW ${database}.ohlcv_1m_view AS
SELECT * FROM ${database}.ohlcv_1m FINAL;

CREATE OR REPLACE VIEW ${database}.ohlcv_5m_view AS
SELECT * FROM ${database}.ohlcv_5m FINAL;

CREATE OR REPLACE VIEW ${database}.ohlcv_15m_view AS
SELECT * FROM ${database}.ohlcv_15m FINAL;

CREATE OR REPLACE VIEW ${database}.ohlcv_30m_view AS
SELECT * FROM ${database}.ohlcv_30m FINAL;

CREATE OR REPLACE VIEW ${database}.ohlcv_1h_view AS
SELECT * FROM ${database}.ohlcv_1h FINAL;

CREATE OR REPLACE VIEW ${database}.ohlcv_1d_view AS
SELECT * FROM ${database}.ohlcv_1d FINAL;

-- Candles of all timeframes.
CREATE OR REPLACE VIEW ${database}.ohlcv_view AS
SELECT * FROM ${database}.ohlcv_1m_view
UNION ALL SELECT * FROM ${database}.ohlcv_5m_view
UNION ALL SELECT * FROM ${database}.ohlcv_15m_view
UNION ALL SELECT * FROM ${database}.ohlcv_30m_view
UNION ALL SELECT * FROM ${database}.ohlcv_1h_view
UNION ALL SELECT * FROM ${database}.ohlcv_1d_view;

-- Candles of all exchanges that trade a canonical symbol, as one: sums are exact, vwap weighs each exchange by its
-- volume (quote volume over volume, rounded half-even at the 18th digit, as in each exchange's own candles). The
-- first and the last trade of any exchange give open and close. BTC/USD and BTC/USDT are different symbols.

CREATE OR REPLACE VIEW ${database}.consolidated_ohlcv_1m_view AS
WITH
    toInt256(quote * unit) * toInt256(unit) AS dividend,
    toInt256(base * unit) AS divisor,
    intDiv(dividend, divisor) AS quotient,
    2 * (dividend - quotient * divisor) AS twice,
    quotient + (twice > divisor OR (twice = divisor AND quotient % 2 = 1)) AS rounded
SELECT
    canonical_symbol, timeframe, open_time, close_time, exchanges, open, high, low, close,
    base AS volume,
    quote AS quote_volume,
    taker_base AS taker_buy_volume,
    taker_quote AS taker_buy_quote_volume,
    toDecimal256(toDecimal256(rounded, 18) / unit, 18) AS vwap,
    trades AS trade_count, first_trade AS first_trade_time, last_trade AS last_trade_time, all_final AS final
FROM
(
    SELECT
        canonical_symbol, timeframe, open_time, close_time,
        toDecimal256('1000000000000000000', 0) AS unit,
        arraySort(groupArray(toString(exchange))) AS exchanges,
        argMin(c.open, (first_trade_time, exchange)) AS open,
        max(c.high) AS high,
        min(c.low) AS low,
        argMax(c.close, (last_trade_time, exchange)) AS close,
        sum(toDecimal256(c.volume, 18)) AS base,
        sum(toDecimal256(c.quote_volume, 18)) AS quote,
        sum(toDecimal256(c.taker_buy_volume, 18)) AS taker_base,
        sum(toDecimal256(c.taker_buy_quote_volume, 18)) AS taker_quote,
        sum(c.trade_count) AS trades,
        min(c.first_trade_time) AS first_trade,
        max(c.last_trade_time) AS last_trade,
        min(c.final) AS all_final
    FROM ${database}.ohlcv_1m_view AS c
    GROUP BY canonical_symbol, timeframe, open_time, close_time
);

CREATE OR REPLACE VIEW ${database}.consolidated_ohlcv_5m_view AS
WITH
    toInt256(quote * unit) * toInt256(unit) AS dividend,
    toInt256(base * unit) AS divisor,
    intDiv(dividend, divisor) AS quotient,
    2 * (dividend - quotient * divisor) AS twice,
    quotient + (twice > divisor OR (twice = divisor AND quotient % 2 = 1)) AS rounded
SELECT
    canonical_symbol, timeframe, open_time, close_time, exchanges, open, high, low, close,
    base AS volume,
    quote AS quote_volume,
    taker_base AS taker_buy_volume,
    taker_quote AS taker_buy_quote_volume,
    toDecimal256(toDecimal256(rounded, 18) / unit, 18) AS vwap,
    trades AS trade_count, first_trade AS first_trade_time, last_trade AS last_trade_time, all_final AS final
FROM
(
    SELECT
        canonical_symbol, timeframe, open_time, close_time,
        toDecimal256('1000000000000000000', 0) AS unit,
        arraySort(groupArray(toString(exchange))) AS exchanges,
        argMin(c.open, (first_trade_time, exchange)) AS open,
        max(c.high) AS high,
        min(c.low) AS low,
        argMax(c.close, (last_trade_time, exchange)) AS close,
        sum(toDecimal256(c.volume, 18)) AS base,
        sum(toDecimal256(c.quote_volume, 18)) AS quote,
        sum(toDecimal256(c.taker_buy_volume, 18)) AS taker_base,
        sum(toDecimal256(c.taker_buy_quote_volume, 18)) AS taker_quote,
        sum(c.trade_count) AS trades,
        min(c.first_trade_time) AS first_trade,
        max(c.last_trade_time) AS last_trade,
        min(c.final) AS all_final
    FROM ${database}.ohlcv_5m_view AS c
    GROUP BY canonical_symbol, timeframe, open_time, close_time
);

CREATE OR REPLACE VIEW ${database}.consolidated_ohlcv_15m_view AS
WITH
    toInt256(quote * unit) * toInt256(unit) AS dividend,
    toInt256(base * unit) AS divisor,
    intDiv(dividend, divisor) AS quotient,
    2 * (dividend - quotient * divisor) AS twice,
    quotient + (twice > divisor OR (twice = divisor AND quotient % 2 = 1)) AS rounded
SELECT
    canonical_symbol, timeframe, open_time, close_time, exchanges, open, high, low, close,
    base AS volume,
    quote AS quote_volume,
    taker_base AS taker_buy_volume,
    taker_quote AS taker_buy_quote_volume,
    toDecimal256(toDecimal256(rounded, 18) / unit, 18) AS vwap,
    trades AS trade_count, first_trade AS first_trade_time, last_trade AS last_trade_time, all_final AS final
FROM
(
    SELECT
        canonical_symbol, timeframe, open_time, close_time,
        toDecimal256('1000000000000000000', 0) AS unit,
        arraySort(groupArray(toString(exchange))) AS exchanges,
        argMin(c.open, (first_trade_time, exchange)) AS open,
        max(c.high) AS high,
        min(c.low) AS low,
        argMax(c.close, (last_trade_time, exchange)) AS close,
        sum(toDecimal256(c.volume, 18)) AS base,
        sum(toDecimal256(c.quote_volume, 18)) AS quote,
        sum(toDecimal256(c.taker_buy_volume, 18)) AS taker_base,
        sum(toDecimal256(c.taker_buy_quote_volume, 18)) AS taker_quote,
        sum(c.trade_count) AS trades,
        min(c.first_trade_time) AS first_trade,
        max(c.last_trade_time) AS last_trade,
        min(c.final) AS all_final
    FROM ${database}.ohlcv_15m_view AS c
    GROUP BY canonical_symbol, timeframe, open_time, close_time
);

CREATE OR REPLACE VIEW ${database}.consolidated_ohlcv_30m_view AS
WITH
    toInt256(quote * unit) * toInt256(unit) AS dividend,
    toInt256(base * unit) AS divisor,
    intDiv(dividend, divisor) AS quotient,
    2 * (dividend - quotient * divisor) AS twice,
    quotient + (twice > divisor OR (twice = divisor AND quotient % 2 = 1)) AS rounded
SELECT
    canonical_symbol, timeframe, open_time, close_time, exchanges, open, high, low, close,
    base AS volume,
    quote AS quote_volume,
    taker_base AS taker_buy_volume,
    taker_quote AS taker_buy_quote_volume,
    toDecimal256(toDecimal256(rounded, 18) / unit, 18) AS vwap,
    trades AS trade_count, first_trade AS first_trade_time, last_trade AS last_trade_time, all_final AS final
FROM
(
    SELECT
        canonical_symbol, timeframe, open_time, close_time,
        toDecimal256('1000000000000000000', 0) AS unit,
        arraySort(groupArray(toString(exchange))) AS exchanges,
        argMin(c.open, (first_trade_time, exchange)) AS open,
        max(c.high) AS high,
        min(c.low) AS low,
        argMax(c.close, (last_trade_time, exchange)) AS close,
        sum(toDecimal256(c.volume, 18)) AS base,
        sum(toDecimal256(c.quote_volume, 18)) AS quote,
        sum(toDecimal256(c.taker_buy_volume, 18)) AS taker_base,
        sum(toDecimal256(c.taker_buy_quote_volume, 18)) AS taker_quote,
        sum(c.trade_count) AS trades,
        min(c.first_trade_time) AS first_trade,
        max(c.last_trade_time) AS last_trade,
        min(c.final) AS all_final
    FROM ${database}.ohlcv_30m_view AS c
    GROUP BY canonical_symbol, timeframe, open_time, close_time
);

CREATE OR REPLACE VIEW ${database}.consolidated_ohlcv_1h_view AS
WITH
    toInt256(quote * unit) * toInt256(unit) AS dividend,
    toInt256(base * unit) AS divisor,
    intDiv(dividend, divisor) AS quotient,
    2 * (dividend - quotient * divisor) AS twice,
    quotient + (twice > divisor OR (twice = divisor AND quotient % 2 = 1)) AS rounded
SELECT
    canonical_symbol, timeframe, open_time, close_time, exchanges, open, high, low, close,
    base AS volume,
    quote AS quote_volume,
    taker_base AS taker_buy_volume,
    taker_quote AS taker_buy_quote_volume,
    toDecimal256(toDecimal256(rounded, 18) / unit, 18) AS vwap,
    trades AS trade_count, first_trade AS first_trade_time, last_trade AS last_trade_time, all_final AS final
FROM
(
    SELECT
        canonical_symbol, timeframe, open_time, close_time,
        toDecimal256('1000000000000000000', 0) AS unit,
        arraySort(groupArray(toString(exchange))) AS exchanges,
        argMin(c.open, (first_trade_time, exchange)) AS open,
        max(c.high) AS high,
        min(c.low) AS low,
        argMax(c.close, (last_trade_time, exchange)) AS close,
        sum(toDecimal256(c.volume, 18)) AS base,
        sum(toDecimal256(c.quote_volume, 18)) AS quote,
        sum(toDecimal256(c.taker_buy_volume, 18)) AS taker_base,
        sum(toDecimal256(c.taker_buy_quote_volume, 18)) AS taker_quote,
        sum(c.trade_count) AS trades,
        min(c.first_trade_time) AS first_trade,
        max(c.last_trade_time) AS last_trade,
        min(c.final) AS all_final
    FROM ${database}.ohlcv_1h_view AS c
    GROUP BY canonical_symbol, timeframe, open_time, close_time
);

CREATE OR REPLACE VIEW ${database}.consolidated_ohlcv_1d_view AS
WITH
    toInt256(quote * unit) * toInt256(unit) AS dividend,
    toInt256(base * unit) AS divisor,
    intDiv(dividend, divisor) AS quotient,
    2 * (dividend - quotient * divisor) AS twice,
    quotient + (twice > divisor OR (twice = divisor AND quotient % 2 = 1)) AS rounded
SELECT
    canonical_symbol, timeframe, open_time, close_time, exchanges, open, high, low, close,
    base AS volume,
    quote AS quote_volume,
    taker_base AS taker_buy_volume,
    taker_quote AS taker_buy_quote_volume,
    toDecimal256(toDecimal256(rounded, 18) / unit, 18) AS vwap,
    trades AS trade_count, first_trade AS first_trade_time, last_trade AS last_trade_time, all_final AS final
FROM
(
    SELECT
        canonical_symbol, timeframe, open_time, close_time,
        toDecimal256('1000000000000000000', 0) AS unit,
        arraySort(groupArray(toString(exchange))) AS exchanges,
        argMin(c.open, (first_trade_time, exchange)) AS open,
        max(c.high) AS high,
        min(c.low) AS low,
        argMax(c.close, (last_trade_time, exchange)) AS close,
        sum(toDecimal256(c.volume, 18)) AS base,
        sum(toDecimal256(c.quote_volume, 18)) AS quote,
        sum(toDecimal256(c.taker_buy_volume, 18)) AS taker_base,
        sum(toDecimal256(c.taker_buy_quote_volume, 18)) AS taker_quote,
        sum(c.trade_count) AS trades,
        min(c.first_trade_time) AS first_trade,
        max(c.last_trade_time) AS last_trade,
        min(c.final) AS all_final
    FROM ${database}.ohlcv_1d_view AS c
    GROUP BY canonical_symbol, timeframe, open_time, close_time
);

-- How far the exchanges are apart in a minute, by their last and by their mean price; bps are of the lower one, cut
-- off at 4 digits. Minutes in which one exchange traded alone are left out.
CREATE OR REPLACE VIEW ${database}.exchange_spread_1m_view AS
SELECT
    canonical_symbol, open_time, exchanges,
    lowest_exchange, lowest_close, highest_exchange, highest_close,
    highest_close - lowest_close AS spread,
    toDecimal128(toDecimal256(spread, 18) * 10000 / lowest_close, 4) AS spread_bps,
    lowest_vwap, highest_vwap,
    highest_vwap - lowest_vwap AS vwap_spread,
    toDecimal128(toDecimal256(vwap_spread, 18) * 10000 / lowest_vwap, 4) AS vwap_spread_bps
FROM
(
    SELECT
        canonical_symbol, open_time,
        arraySort(groupArray(toString(exchange))) AS exchanges,
        argMin(toString(exchange), (close, exchange)) AS lowest_exchange,
        min(close) AS lowest_close,
        argMax(toString(exchange), (close, exchange)) AS highest_exchange,
        max(close) AS highest_close,
        min(vwap) AS lowest_vwap,
        max(vwap) AS highest_vwap
    FROM ${database}.ohlcv_1m_view
    GROUP BY canonical_symbol, open_time
    HAVING count() > 1
);
