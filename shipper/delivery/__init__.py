"""Events to outcomes: encoded into batches, queued, sent until settled."""
