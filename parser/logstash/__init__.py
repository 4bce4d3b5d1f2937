"""The Logstash configuration language: grammar and syntax tree, field references, sprintf, conditions."""
