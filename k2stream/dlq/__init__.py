"""Inspecting dead letters, and replaying their originals into the pipeline."""
