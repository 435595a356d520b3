-- Candles of any timeframe in any time zone, folded from the longest stored timeframe that fits:
--   SELECT * FROM k2.ohlcv_in_view(timeframe = '4h', tz = 'UTC')
-- The windows and sums are those of k2stream/history/timeframes.py and fold.py, to which a test holds them. A window
-- is final when its parts are, and five minutes have passed: a quiet market may still lack a part.
CREATE OR REPLACE VIEW ${database}.ohlcv_in_view AS
WITH
    toInt256(quote * unit) * toInt256(unit) AS dividend,
    toInt256(base * unit) AS divisor,
    intDiv(dividend, divisor) AS quotient,
    2 * (dividend - quotient * divisor) AS twice,
    quotient + (twice > divisor OR (twice = divisor AND quotient % 2 = 1)) AS rounded
SELECT
    exchange, symbol, canonical_symbol, {timeframe:String} AS timeframe,
    fromUnixTimestamp64Milli(opening * 1000, 'UTC') AS open_time,
    fromUnixTimestamp64Milli(ending * 1000 - 1, 'UTC') AS close_time,
    first_price AS open, highest AS high, lowest AS low, last_price AS close,
    base AS volume,
    quote AS quote_volume,
    taker_base AS taker_buy_volume,
    taker_quote AS taker_buy_quote_volume,
    toDecimal256(toDecimal256(rounded, 18) / unit, 18) AS vwap,
    trades AS trade_count, first_trade AS first_trade_time, last_trade AS last_trade_time,
    records + final AS revision,
    parts_final AND ending <= toUnixTimestamp(now()) - 300 AS final,
    newest.2 AS raw_partition,
    newest.1 AS raw_offset
FROM
(
    SELECT
        exchange, symbol, canonical_symbol, opening, any(ending) AS ending,
        toDecimal256('1000000000000000000', 0) AS unit,
        argMin(part.open, part.open_time) AS first_price,
        max(part.high) AS highest,
        min(part.low) AS lowest,
        argMax(part.close, part.open_time) AS last_price,
        sum(part.volume) AS base,
        sum(part.quote_volume) AS quote,
        sum(part.taker_buy_volume) AS taker_base,
        sum(part.taker_buy_quote_volume) AS taker_quote,
        sum(part.trade_count) AS trades,
        min(part.first_trade_time) AS first_trade,
        max(part.last_trade_time) AS last_trade,
        sum(part.revision - part.final) AS records,
        min(part.final) AS parts_final,
        max((part.raw_offset, part.raw_partition)) AS newest
    FROM
    (
        WITH
            match({timeframe:String}, '^[1-9][0-9]{0,4}[mhdwM]$$') AS known,
            if(known, toInt64OrZero(extract({timeframe:String}, '^[0-9]+')), 0) AS number,
            right({timeframe:String}, 1) AS unit,
            number * multiIf(unit = 'm', 60, unit = 'h', 3600, 0) AS seconds,
            -- Zones have had offsets of whole quarters of an hour since 2009.
            gcd(if(seconds > 0, seconds, 86400), if({tz:String} = 'UTC', 86400, 900)) AS grain,
            multiIf(grain % 86400 = 0, '1d', grain % 3600 = 0, '1h', grain % 1800 = 0, '30m',
                    grain % 900 = 0, '15m', grain % 300 = 0, '5m', '1m') AS stored,
            toUnixTimestamp64Second(candle.open_time) AS second,
            toDate(toTimeZone(candle.open_time, {tz:String})) AS today,
            toInt64(today) AS day,
            toYear(today) * 12 + toMonth(today) - 1 AS month,
            month - month % greatest(number, 1) AS first_month,
            multiIf(
                unit = 'M', makeDate(intDiv(first_month, 12), first_month % 12 + 1, 1),
                unit = 'w', toDate(day - (day - 4) % greatest(7 * number, 1)), -- 1970-01-01 was a Thursday
                unit = 'd', toDate(day - day % greatest(number, 1)),
                today) AS first_day,
            multiIf(
                unit = 'M', makeDate(intDiv(first_month + number, 12), (first_month + number) % 12 + 1, 1),
                unit = 'w', first_day + 7 * number,
                unit = 'd', first_day + number,
                first_day + 1) AS next_day,
            toInt64(toUnixTimestamp(toDateTime(first_day, {tz:String}))) AS first_midnight,
            toInt64(toUnixTimestamp(toDateTime(next_day, {tz:String}))) AS next_midnight,
            second - (second - if({tz:String} = 'UTC', 0, first_midnight)) % greatest(seconds, 1) AS within
        SELECT
            candle.*,
            if(seconds > 0, within, first_midnight) AS opening,
            multiIf(seconds = 0, next_midnight,
                    {tz:String} = 'UTC', within + seconds,
                    least(within + seconds, next_midnight)) AS ending
        FROM ${database}.ohlcv_view AS candle
        WHERE candle.timeframe = stored
            AND throwIf(NOT known, 'timeframe: a number of m, h, d, w or M, such as 4h') = 0
            AND throwIf({tz:String} != 'UTC' AND seconds > 0 AND 86400 % greatest(seconds, 1) != 0,
                        'a timeframe that does not divide a day exists in UTC only') = 0
    ) AS part
    GROUP BY exchange, symbol, canonical_symbol, opening
);
