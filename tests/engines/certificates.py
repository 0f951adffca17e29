"""Certificates of the tests' own making, for servers that speak TLS."""

import shutil
import subprocess
from pathlib import Path

import pytest


def make(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate for this host, signed by itself and good for a day, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.fail("no openssl here to make a certificate with: apt-get install openssl (or brew install openssl)")
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
