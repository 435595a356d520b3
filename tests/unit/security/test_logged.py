"""What libraries log: no password, at whatever level."""

import logging

import pytest
from aiokafka.conn import AIOKafkaConnection, log
from aiokafka.protocol.admin import SaslAuthenticateRequest

from k2stream.logs.setup import TELLING, configuration
from k2stream.model.roles import Role

LEVELS = ("debug", "info", "warning", "error", "critical")


@pytest.fixture
def configured():
    """Applies a level as a worker does, and puts back what was."""
    names = ["", *TELLING]
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    handlers = logging.getLogger().handlers[:]
    yield lambda level: logging.config.dictConfig(configuration("json", level, role=Role.HOT.value))
    for logger, level in before:
        logger.setLevel(level)
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize("level", LEVELS)
def test_no_library_logs_a_password_at_any_level(configured, level):
    """aiokafka logs whole requests at debug: a login of PLAIN is the password itself."""
    configured(level)
    assert log.name in TELLING
    assert not log.isEnabledFor(logging.DEBUG)


def test_aiokafka_would_log_it():
    """Or the test above would show nothing: it breaks with the release that stops it."""
    import inspect

    assert "log.debug" in inspect.getsource(AIOKafkaConnection.send)
    request = SaslAuthenticateRequest(payload=b"\0k2\0hush")
    assert "hush" in repr(request.prepare({36: (0, 2)}))
