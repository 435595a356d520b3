"""What brokers answer while one of them is away or takes over: never taken for nothing."""

from types import SimpleNamespace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    NodeNotReadyError,
    TopicAlreadyExistsError,
)
from aiokafka.protocol.admin import CreateTopicsResponse_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.commit import OffsetFetchResponse_v3
from aiokafka.protocol.coordination import FindCoordinatorResponse_v1
from aiokafka.protocol.metadata import MetadataResponse_v5

from k2stream.kafka import admin, groups
from k2stream.model.errors import ConfigError

NOT_COORDINATOR, LOADING, EXISTS, REPLICATION = 16, 14, 36, 38
MEMBERS = [("a", "a", "/", b"", b""), ("b", "b", "/", b"", b"")]
TOPICS = [("raw", [(0, 7, "", 0)])]


class Brokers:
    """A client of several brokers; `away` do not answer, `codes` are the errors of the answers to come."""

    def __init__(self, count=3, away=(), codes=()):
        self.cluster = SimpleNamespace(
            brokers=lambda: [SimpleNamespace(nodeId=number) for number in range(1, count + 1)],
            controller=SimpleNamespace(nodeId=1),
        )
        self.away, self.codes, self.asked = set(away), list(codes), []
        self.coordinators = [1]

    async def send(self, node, request):
        name = type(request).__name__
        self.asked.append((name, node))
        if node in self.away:
            raise NodeNotReadyError(node)
        code = self.codes.pop(0) if self.codes and name != "FindCoordinatorRequest" else 0
        match name:
            case "FindCoordinatorRequest":
                found = self.coordinators.pop(0) if len(self.coordinators) > 1 else self.coordinators[0]
                return FindCoordinatorResponse_v1(0, 0, "", found, "", 0)
            case "OffsetFetchRequest":
                return OffsetFetchResponse_v3(0, [] if code else TOPICS, code)
            case "DescribeGroupsRequest":
                state = ("", "", "", []) if code else ("Stable", "consumer", "range", MEMBERS)
                return DescribeGroupsResponse_v3(0, [(code, "k2-normalize", *state, 0)])
            case "CreateTopicsRequest":
                return CreateTopicsResponse_v3(0, [("a", code, "no"), ("b", EXISTS, "there")])
        return MetadataResponse_v5(0, [], "", 1, [])

    async def force_metadata_update(self):
        """The dead broker is no longer the controller."""
        self.cluster.controller = SimpleNamespace(nodeId=2)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(groups, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(admin, "PAUSE_SECONDS", 0)


def client(**options):
    made = admin.Admin.__new__(admin.Admin)
    made._client, made._request_timeout_ms = Brokers(**options), 1000
    return made


@pytest.mark.parametrize("code", [NOT_COORDINATOR, LOADING])
async def test_a_coordinator_that_moves_or_loads_has_not_no_offsets(code):
    found = await groups.offsets(client(codes=[code, code]), "k2-normalize")
    assert {tuple(tp): given.offset for tp, given in found.items()} == {("raw", 0): 7}


@pytest.mark.parametrize("code", [NOT_COORDINATOR, LOADING])
async def test_a_coordinator_that_moves_or_loads_has_not_no_members(code):
    assert await groups._members(client(codes=[code, code]), "k2-normalize") == len(MEMBERS)


async def test_a_coordinator_that_goes_on_loading_is_an_error():
    codes = [LOADING] * admin.ATTEMPTS
    with pytest.raises(ConfigError, match="what group k2-normalize has read: try again"):
        await groups.offsets(client(codes=codes), "k2-normalize")


async def test_a_broker_that_is_away_is_passed_over():
    made = client(away=[2, 3])
    for _ in range(20):
        assert await made.list_topics() == []
    assert {node for _, node in made._client.asked} == {1, 2, 3}


async def test_a_coordinator_that_died_is_asked_for_anew():
    made = client(away=[1])

    made._client.coordinators = [1, 2]
    assert await groups.offsets(made, "k2-normalize")


async def test_the_only_broker_away_is_said_at_once():
    made = client(count=1, away=[1])
    with pytest.raises(NodeNotReadyError):
        await groups.offsets(made, "k2-normalize")
    with pytest.raises(NodeNotReadyError):
        await made.create_topics([NewTopic("a", 1, 1)])
    assert len(made._client.asked) == 2


async def test_topics_are_made_where_the_controller_has_died():
    made = client(away=[1])
    with pytest.raises(TopicAlreadyExistsError):
        await made.create_topics([NewTopic("a", 1, 3)])
    assert made._client.asked == [("CreateTopicsRequest", 1), ("CreateTopicsRequest", 2)]


async def test_topics_are_made_once_there_is_a_controller():
    made = client()
    made._client.cluster.controller = None
    with pytest.raises(TopicAlreadyExistsError):
        await made.create_topics([NewTopic("a", 1, 3)])
    assert made._client.asked == [("CreateTopicsRequest", 2)]


async def test_a_topic_that_was_not_made_is_an_error_whatever_exists():
    with pytest.raises(InvalidReplicationFactorError, match="a: no"):
        await client(codes=[REPLICATION]).create_topics([NewTopic("a", 1, 3)])


def test_what_is_overridden_is_what_aiokafka_calls():
    for name in ("_send_request", "_send_to_controller", "create_topics"):
        assert callable(getattr(AIOKafkaAdminClient, name))
    assert issubclass(KafkaConnectionError, admin.AWAY)
