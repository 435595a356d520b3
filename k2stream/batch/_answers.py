"""Errors in the answers of a group's coordinator that aiokafka does not look at.

A coordinator that has moved to another broker, or still loads, answers with an error and without offsets or
members. Read as "none committed", that would make a group begin anew at the beginning of its topics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.errors import for_code

if TYPE_CHECKING:
    from k2stream.batch._aiokafka import Client

_OFFSET_FETCH, _DESCRIBE_GROUPS = 9, 15


def check_answer(answer: Any) -> None:
    """Raise the KafkaError of an answer to OffsetFetch or DescribeGroups; aiokafka sees to others."""
    codes: list[int] = []
    if answer.API_KEY == _OFFSET_FETCH:
        codes = [getattr(answer, "error_code", 0)]
    elif answer.API_KEY == _DESCRIBE_GROUPS:
        codes = [code for code, *_ in answer.groups]
    for code in filter(None, codes):
        raise for_code(code)(f"in the answer {type(answer).__name__}")


def check_answers(client: Client) -> None:
    """Make a consumer's client check what it receives; aiokafka then tries again where that can help."""
    send = client.send

    async def checked(node: int, request: object, **options: Any) -> Any:
        answer = await send(node, request, **options)
        check_answer(answer)
        return answer

    client.send = checked  # type: ignore[method-assign]
