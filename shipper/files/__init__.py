"""Which files there are, which one each is, and their bytes as blocks of whole events."""
