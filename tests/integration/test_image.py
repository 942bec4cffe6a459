"""The image itself, built without a registry: minutes, and root; `make image-check` says each step."""

import os
import shutil
import subprocess
import sys

import pytest

from deploy.local.child import ROOT


@pytest.mark.timeout(900)
def test_the_image_is_small_the_same_each_time_and_serves_read_only_as_nobody() -> None:
    if os.environ.get("PENSTOCK_TEST_IMAGE") != "real":
        pytest.skip("it takes minutes: PENSTOCK_TEST_IMAGE=real, as root, with Debian's buildah and debootstrap")
    assert shutil.which("buildah"), "PENSTOCK_TEST_IMAGE is `real`: install buildah and debootstrap"
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.image"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=880
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
