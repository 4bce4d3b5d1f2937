"""What the receiver's tests share."""

import pytest
from receiving import Gate


@pytest.fixture
def gate(monkeypatch):
    made = Gate()
    made.open.set()
    monkeypatch.setattr("shipper.sending.open_output", lambda settings: made)
    return made
