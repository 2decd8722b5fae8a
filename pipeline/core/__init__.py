"""What every part of the pipeline stands on: stages, data at rest, errors, workers."""
