"""Mutants that once survived, by hand: each fails its named test. `make mutate` tries them first."""

from __future__ import annotations

from typing import NamedTuple


class Listed(NamedTuple):
    """`old` stands in the file once and becomes `new`; `test` fails then."""

    what: str
    path: str
    old: str
    new: str
    test: str


LISTED = (
    Listed(
        "changelog stages flushed in reverse order",
        "k2stream/batch/_producer.py",
        "in sorted({table.flush_stage for table, _ in changes})",
        "in sorted({table.flush_stage for table, _ in changes}, reverse=True)",
        "tests/unit/batch/test_producer.py::"
        "test_of_one_flush_a_higher_stage_is_written_once_the_lower_one_is_durable",
    ),
    Listed(
        "no membership check before flush and commit",
        "k2stream/batch/_consumer.py",
        "or self.crashed or not await self._thread.is_member()",
        "or self.crashed",
        "tests/unit/batch/test_consumer.py::test_a_worker_that_was_replaced_flushes_and_commits_nothing",
    ),
    Listed(
        "an open state replaces a final one on recovery",
        "tables/ohlcv.py",
        "return (new.raw_offset, new.final) >= (old.raw_offset, old.final)",
        "return new.raw_offset >= old.raw_offset",
        "tests/unit/candles/test_tables.py::"
        "test_an_open_state_does_not_replace_the_final_one_of_the_same_record",
    ),
    Listed(
        "the gap filler commits before its answer is durable",
        "k2stream/backfill/filler.py",
        "            await (outages.fill if event",
        "            await consumer.commit({tp: next_offset})\n            await (outages.fill if event",
        "tests/unit/backfill/test_filler.py::test_an_event_is_committed_once_its_answer_is_durable",
    ),
    Listed(
        "fetched trades count as a sign of life",
        "k2stream/backfill/retained.py",
        "(item.k2_unread or item.k2_recv for item in records if not item.k2_backfilled)",
        "(item.k2_unread or item.k2_recv for item in records)",
        "tests/unit/backfill/test_retained.py::test_fetched_trades_are_no_sign_of_life",
    ),
    Listed(
        "an outage filled without its upper margin",
        "k2stream/backfill/outages.py",
        "event.time - MOST_US), event.time + margin",
        "event.time - MOST_US), event.time",
        "tests/unit/backfill/test_fill.py::"
        "test_an_outage_is_asked_for_from_a_margin_before_it_to_a_margin_after_it",
    ),
    Listed(
        "an unusable trade's id is no hole",
        "k2stream/normalizer/continuity/walk.py",
        "            self._ids.holes.append((number, number))\n",
        "",
        "tests/unit/normalizer/test_normalizer.py::test_a_usable_trade_is_wanted_after_an_unusable_one_of_its_id",
    ),
    Listed(
        "a seek that does not wait for the fetch in flight",
        "k2stream/batch/_consumer.py",
        "        await self._fetch_idle.wait()\n        await super().seek_wait(partitions)",
        "        await super().seek_wait(partitions)",
        "tests/unit/batch/test_consumer.py::test_a_seek_waits_for_the_fetch_in_flight[changelogs]",
    ),
    Listed(
        "receipts of a batch that was given up: acknowledged when it ends",
        "k2stream/delivery/progress.py",
        "        if not self.holds(batch):\n            return []\n",
        "",
        "tests/unit/delivery/test_progress.py::test_a_batch_that_was_given_up_acknowledges_nothing",
    ),
    Listed(
        "receipts of a batch that was given up: acknowledged when its positions are saved",
        "k2stream/delivery/unsaved.py",
        "self._written = [written._replace(receipts=[]) for written in self._written]",
        "pass",
        "tests/unit/delivery/test_sink_rebalance.py::"
        "test_what_was_written_before_a_rebalance_is_saved_and_not_acknowledged",
    ),
    Listed(
        "rows that a destination lost before their position: taken for written",
        "k2stream/delivery/unsaved.py",
        "self._doubted = bool(self._written)",
        "pass",
        "tests/unit/delivery/test_sink_went_back.py::"
        "test_a_destination_that_went_back_before_it_saved_a_position_gets_the_rows_again",
    ),
    Listed(
        "made-up Kraken ordinals forgotten by the trade's own time",
        "k2stream/normalizer/continuity/reports.py",
        "reported.seen = newest\n    reported.links",
        "reported.seen = time\n    reported.links",
        "tests/property/test_continuity.py::"
        "test_the_likes_of_a_trade_are_forgotten_by_the_symbols_time_not_by_their_own",
    ),
)
