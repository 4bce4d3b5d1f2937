"""What others see of a running agent: ``/health`` and ``/metrics`` over HTTP, and systemd's notifications."""
