"""One project for the tests of a module, torn down whatever happened to it."""

from collections.abc import Iterator

import pytest

from tests.e2e.project import Project, clone, leftovers


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = clone(tmp_path_factory.mktemp("a clone") / "of it")
    yield project
    project.make("purge", "YES=1")
    assert leftovers(project) == []
