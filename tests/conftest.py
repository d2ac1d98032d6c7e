"""Every ring that needs Terraform says so once, for all of its tests."""

import pytest
from rings import require_terraform


@pytest.fixture(scope="session")
def terraform_ready():
    require_terraform()
