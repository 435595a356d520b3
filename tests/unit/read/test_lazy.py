"""`import k2stream` is light; a library that is missing is named in one line."""

import subprocess
import sys

import pytest

import k2stream
from k2stream.extras import MissingLibrary
from k2stream.model.errors import K2Error


def test_the_import_brings_no_library():
    code = "import sys, k2stream; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pyarrow", "numpy", "faust", "pyiceberg", "httpx", "msgspec", "clickhouse_driver", "pandas"}
    assert "k2stream" in found.stdout.split()
    assert not heavy & set(found.stdout.split())


@pytest.mark.parametrize("name", k2stream.__all__)
def test_what_is_exported_exists(name):
    assert getattr(k2stream, name).__name__ == name


def test_another_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'read_books'"):
        k2stream.read_books  # noqa: B018


def test_a_missing_library_is_named_with_the_extra(monkeypatch):
    def fail(name):
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setattr(k2stream, "import_module", fail)
    with pytest.raises(K2Error) as caught:
        k2stream.read_candles  # noqa: B018
    assert str(caught.value) == (
        "k2stream.read_candles needs pyarrow: pip install 'k2stream[read]' (k2stream[all] has everything)"
    )
    assert isinstance(caught.value, MissingLibrary | ImportError)
