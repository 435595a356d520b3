"""Past spans of an exchange as its own live feed: raw records, read again and sent at any speed."""
