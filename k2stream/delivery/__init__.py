"""What a sink promises: rows, then positions, then acknowledgement, whatever the destination is."""
