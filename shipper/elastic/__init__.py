"""What a cluster is asked for, or given, once."""
