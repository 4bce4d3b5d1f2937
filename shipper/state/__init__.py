"""The agent's durable state: registry, rejects, lock."""
