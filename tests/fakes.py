"""The base of what stands for a class of the product in a test, and does only what the test needs."""

from typing import Any

Fake: Any = object
