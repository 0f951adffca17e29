"""Types are a feature: a type checker sees a wrong argument before the program runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKED = Path(__file__).with_name("checked.py")
ROOT = Path(__file__).parents[3]


def test_a_type_checker_refuses_wrong_arguments_and_options_and_knows_every_result(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--cache-dir",
        str(tmp_path),
        "--no-error-summary",
    ]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    ran = subprocess.run(
        [*command, str(CHECKED)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    lines = CHECKED.read_text(encoding="utf-8").splitlines()
    refused = {number for number, line in enumerate(lines, 1) if line.endswith("# refused")}
    flagged = {int(number) for number in re.findall(r"checked\.py:(\d+): error", ran.stdout)}
    assert len(refused) > 15
    assert flagged == refused, ran.stdout
