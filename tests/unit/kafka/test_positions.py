"""Moving a group's offsets, which its members prevent, and other things too."""

import pytest
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    OffsetMetadataTooLargeError,
)

from k2stream.batch import TP
from k2stream.kafka.groups import Committed
from k2stream.kafka.positions import GroupBusy, GroupPositions
from k2stream.model.errors import ConfigError
from k2stream.settings import KafkaSettings


async def commit(monkeypatch, error):
    async def refused(offsets):
        raise error

    tp = TP("raw", 0)
    positions = GroupPositions(KafkaSettings(), "hot", [tp])
    monkeypatch.setattr(positions._consumer, "commit", refused)
    await positions.commit({tp: Committed(7, "")})


@pytest.mark.parametrize("error", [CommitFailedError("rebalanced"), IllegalStateError("not assigned")])
async def test_members_are_told(monkeypatch, error):
    with pytest.raises(GroupBusy):
        await commit(monkeypatch, error)


@pytest.mark.parametrize("error", [GroupAuthorizationFailedError("hot"), OffsetMetadataTooLargeError("raw")])
async def test_another_refusal_is_not_taken_for_members(monkeypatch, error):
    """An operator was told to stop workers, of which none ran."""
    with pytest.raises(ConfigError, match=f"refuses the offsets of group hot .*{type(error).__name__}"):
        await commit(monkeypatch, error)
