from __future__ import annotations

from shipper.state.rejects import Rejects


def test_a_document_is_kept_once_with_the_latest_reason(tmp_path):
    rejects = Rejects(tmp_path / "state.db")
    rejects.add("elasticsearch", [("a" * 20, 400, "mapping", b"{}"), ("b" * 20, 400, "mapping", b"{}")])
    rejects.add("elasticsearch", [("a" * 20, 413, "too large", b"{}")])
    assert rejects.count() == 2
    rejects.close()
    assert Rejects(tmp_path / "state.db").count() == 2
