"""Looking at dead letters, and putting their originals back into the pipeline."""
