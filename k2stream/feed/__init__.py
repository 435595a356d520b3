"""A WebSocket feed: connects, subscribes, receives and publishes raw records, for any exchange."""

from k2stream.feed.columns import Columns
from k2stream.feed.feed import Feed
from k2stream.feed.publisher import MemoryPublisher, Publisher

__all__ = ["Columns", "Feed", "MemoryPublisher", "Publisher"]
