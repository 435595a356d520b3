"""Ids of topics, as a broker that has them answers; without them all goes by the records themselves."""

from io import BytesIO
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError

from k2stream.batch import _topic_ids as topic_ids

ID = bytes(range(16))


def answered():
    partition = (0, 0, 1, 5, [1], [1], [], {})
    topics = [
        (0, "raw", ID, False, [partition], 0, {}),
        (0, "old", bytes(16), False, [partition], 0, {}),  # from before topics had ids
        (3, "gone", bytes(16), False, [], 0, {}),
    ]
    brokers = [(1, "127.0.0.1", 9092, None, {})]
    response = topic_ids._Response(0, brokers, "a-cluster", 1, topics, {})
    return topic_ids._Response.decode(BytesIO(response.encode()))


class Client(SimpleNamespace):
    def get_random_node(self):
        return self.node

    async def send(self, node, request):
        if isinstance(self.answer, Exception):
            raise self.answer
        request.prepare({3: (0, 13)}).encode()
        return self.answer


async def test_topics_that_have_an_id_are_told():
    client = Client(node=1, answer=answered())
    assert await topic_ids.ids(client, ["raw", "old", "gone"]) == (
        "a-cluster",
        {"raw": ID.hex(), "old": "", "gone": None},
    )


@pytest.mark.parametrize("answer", [KafkaConnectionError(), NotImplementedError()])
async def test_a_broker_without_ids_or_an_answer_gives_none(answer):
    assert await topic_ids.ids(Client(node=1, answer=answer), ["raw"]) == ("", {})
    assert await topic_ids.ids(Client(node=None, answer=answer), ["raw"]) == ("", {})


def test_a_broker_that_speaks_less_is_not_asked():
    with pytest.raises(NotImplementedError):
        topic_ids._Request(["raw"]).prepare({3: (0, 8)})
