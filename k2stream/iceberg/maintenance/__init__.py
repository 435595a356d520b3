"""Keeps the cold tables small, once a day: compaction, snapshot expiry, removal of orphan files."""
