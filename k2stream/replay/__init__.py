"""Everything rebuilt from the raw records under fresh names, compared with the live layers, and swapped in.

One process and the pipeline's own functions, without a Faust worker:

raw topics, before their beginning cold.bronze_* ─► normalise ─► fold ─► <database>_replay, cold_replay

What a replay writes depends on the raw records alone: the process time of a canonical trade is the receive
time of its raw record, and a window is final when its key's watermark has passed its end. The live system
closes windows by the clock too: where only that differs, `final`, and the revision that comes with it, are
not compared. Dead letters are not in bronze; normalise gives nothing of them either, so nothing lacks them.
"""
