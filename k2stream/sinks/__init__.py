"""From topics to tables: what a sink promises (base, progress), each layer's columns, the destinations."""
