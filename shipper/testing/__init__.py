"""Pipelines tried out before they are used: on lines, and on cases in YAML files, by the command line and by pytest."""
