"""A pytest plugin: every case of a pipeline's YAML file is a test.

Which files hold cases says the option ``pipeline_cases`` of pytest's configuration: patterns of paths, by default
``*.pipeline.yml`` and ``pipeline/tests/*.yml``. This module is loaded in every run of pytest, so it imports nothing of ours
until there is such a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shipper.testing.cases import Case
    from shipper.testing.check import Difference
    from shipper.testing.documents import Trial

DEFAULT = ["*.pipeline.yml", "*.pipeline.yaml", "pipeline/tests/*.yml", "pipeline/tests/*.yaml"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``pipeline_cases``."""
    parser.addini(
        "pipeline_cases", "Patterns of the paths of YAML files with cases of pipelines", type="args", default=DEFAULT
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the files that the patterns name."""
    if file_path.suffix in (".yml", ".yaml") and any(map(file_path.match, parent.config.getini("pipeline_cases"))):
        collector: pytest.Collector = PipelineFile.from_parent(parent, path=file_path)
        return collector
    return None


class PipelineFile(pytest.File):
    """A file of cases."""

    def collect(self) -> Iterator[pytest.Item]:
        """Compile the pipeline once, and give each case."""
        from parser.errors import ParserError  # noqa: PLC0415 - only where there are cases
        from shipper.errors import ShipperError  # noqa: PLC0415 - as above
        from shipper.testing.cases import read  # noqa: PLC0415 - as above
        from shipper.testing.check import trial  # noqa: PLC0415 - as above

        try:
            file = read(self.path)
            on = trial(file)
        except (ParserError, ShipperError) as error:
            raise self.CollectError(str(error)) from error
        for case in file.cases:
            item: pytest.Item = PipelineCase.from_parent(self, name=case.name, on=on, case=case)
            yield item


class CaseFailedError(Exception):
    """A document is another than was expected."""

    def __init__(self, differences: list[Difference]) -> None:
        super().__init__("\n".join(map(str, differences)))


class PipelineCase(pytest.Item):
    """A case."""

    def __init__(self, *, on: Trial, case: Case, **others: Any) -> None:
        super().__init__(**others)
        self._on, self._case = on, case

    def runtest(self) -> None:
        """Run it. Raises ``CaseFailedError``."""
        from shipper.testing.check import check  # noqa: PLC0415 - only where there are cases

        if found := check(self._on, self._case):
            raise CaseFailedError(found)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The differences, and where the case stands."""
        if isinstance(excinfo.value, CaseFailedError):
            return f"{self.path}:{self._case.line}: {self._case.name}\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case stands."""
        return self.path, self._case.line - 1, self.name
