-- What a position counts. The epoch is one incarnation of a table's rows: it is part of the inserts' deduplication
-- token, changes when a table is filled again or went back, and never per start or retry; the newest one counts. The
-- source says which topic is meant, in the readers' own words. Both are empty in positions of earlier releases.
ALTER TABLE ${database}.sink_positions
    ADD COLUMN IF NOT EXISTS epoch String,
    ADD COLUMN IF NOT EXISTS source String,
    MODIFY ORDER BY (table, topic, partition, epoch);

-- The highest raw offset of each exchange's partitions that silver is known to hold.
CREATE OR REPLACE VIEW ${database}.silver_marks_view AS
SELECT
    splitByChar(':', mark.1)[1] AS exchange,
    toInt32(splitByChar(':', mark.1)[2]) AS raw_partition,
    max(mark.2) AS raw_offset
FROM
(
    SELECT arrayJoin(arrayZip(mapKeys(held), mapValues(held))) AS mark
    FROM
    (
        SELECT argMax(marks, (epoch, last_offset)) AS held FROM ${database}.sink_positions
        WHERE table = 'silver_trades' GROUP BY topic, partition
    )
)
GROUP BY exchange, raw_partition;
