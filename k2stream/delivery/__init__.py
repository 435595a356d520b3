"""The delivery contract of sinks: rows, then positions, then acknowledgement, for any destination."""
