"""What keeps the cold tables small: compaction, expiry, orphans, once a day."""
