-- Silver lives 30 days from the trade's own time, which is what its candles are cut by; what a backfill brings from
-- before that is in Iceberg and in the candles.
ALTER TABLE ${database}.silver_trades MODIFY TTL toDateTime(timestamp) + INTERVAL 30 DAY;
