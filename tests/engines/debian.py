"""Install a Debian package that the tests need, where apt and root are at hand, without starting its service."""

import os
import shutil
import subprocess
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
"""While it says 101, packages start no service of the system's."""
PATIENCE = 600.0


def install(package: str) -> str:
    """What apt-get said; empty where there is no apt or no root to run it."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return ""
    is_ours = not POLICY.exists()
    if is_ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        said = ""
        for words in (["update"], ["install", "-y", "--no-install-recommends", package]):
            ended = subprocess.run(
                [apt, *words], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            said = ended.stdout + ended.stderr
        return said
    finally:
        if is_ours:
            POLICY.unlink()
