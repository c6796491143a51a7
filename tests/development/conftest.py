"""Projects that run with compose.dev.yaml, or with Flask's server on this machine."""

from tests.tls.conftest import (  # noqa: F401
    project,
    pytest_generate_tests,
    pytest_runtest_makereport,
)
