"""Rebuilds everything from raw records under fresh names, compares it with the live layers, swaps it in.

One process and the pipeline's own functions, without a Faust worker:

raw topics, before their beginning cold.bronze_* ─► normalise ─► fold ─► <database>_replay, cold_replay

The result depends only on the raw records: the process time of a canonical trade is the receive time of its
raw record, and a window is final when its key's watermark has passed its end. The live system also closes
windows by the clock: where only that differs, `final` and its increment of the revision are not compared.
Dead letters are not in bronze; they would not become trades either, so nothing is missing.
"""
