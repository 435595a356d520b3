"""Judges the positions that a sink stores against the log of its topic, for all partitions at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from k2stream.batch import TP, proof
from k2stream.batch.proof import Judgement, LogIdentity, Shown, Verdict
from k2stream.delivery.progress import SinkPosition
from k2stream.mend.look import shown_at
from k2stream.settings import KafkaSettings


class JudgedPosition(NamedTuple):
    """A sink's position in a partition, the identity of the log it belongs to, and what the broker shows."""

    position: SinkPosition
    identity: LogIdentity | None
    shown: Shown
    judgement: Judgement

    @property
    def refused(self) -> bool:
        """Whether its rows come from a log that no longer exists."""
        return self.judgement.verdict is Verdict.REFUSE

    @property
    def reads(self) -> bool | None:
        """Whether its last record is in the current log; None if unknown."""
        if self.refused:
            return False
        return None if self.identity is None else self.shown.record == self.identity.proof


async def judged(
    settings: KafkaSettings, topic: str, positions: Mapping[int, SinkPosition]
) -> dict[int, JudgedPosition]:
    """Judge positions in a topic, by partition; one query of the broker."""
    if not positions:
        return {}
    return judge_all(topic, positions, await shown_at(settings, offsets(topic, positions)))


def offsets(topic: str, positions: Mapping[int, SinkPosition]) -> dict[TP, int]:
    """The offset by which each position is judged: that of its proof, or its own without one."""
    identities = {number: proof.read(position.source) for number, position in positions.items()}
    return {
        TP(topic, number): kept.proof.offset if (kept := identities[number]) else position.offset
        for number, position in positions.items()
    }


def judge_all(
    topic: str, positions: Mapping[int, SinkPosition], shown: Mapping[TP, Shown]
) -> dict[int, JudgedPosition]:
    """Judge positions by what the broker shows of the offsets of `offsets`."""
    found = {}
    for number, position in positions.items():
        identity, now = proof.read(position.source), shown[TP(topic, number)]
        judgement = proof.judge(position.offset + 1, identity, now)
        found[number] = JudgedPosition(position, identity, now, judgement)
    return found
