-- How far each topic partition is durable in each table; written after the rows, before Kafka is told.
-- To fill a table again from Kafka: delete its rows here, and start the hot workers again.
CREATE TABLE IF NOT EXISTS ${database}.sink_positions
(
    table LowCardinality(String),
    topic LowCardinality(String),
    partition Int32,
    last_offset Int64,
    marks Map(String, Int64), -- to drop replays: highest raw offset by exchange:raw partition
    saved_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(last_offset)
ORDER BY (table, topic, partition);
