"""The platform on one machine: the supervisor of the workers, and access to their metrics."""
