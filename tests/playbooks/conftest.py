"""A local node that site.yml was played on, for all tests that need one."""

from collections.abc import Iterator

import pytest

from tests.playbooks.bench import Bench, opened

# As many sequences at once as the drills have requests in flight, and the time that these get.
SERVING = {"max_num_seqs": 24, "shutdown_timeout_s": 120}


@pytest.fixture(scope="session")
def converged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a node that serves the tiny model with real vLLM; whoever changes it puts it back."""
    with opened(tmp_path_factory.mktemp("converged"), "converged", serving=SERVING) as bench:
        played = bench.play()
        assert played.exit_code == 0, played.text
        yield bench
