"""What a visitor does first: clone, `make serve`, and paste the commands that it prints (design 4)."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import ProcessGroup, free_port, wait_until
from tests.house.sources import ROOT

SETUP_S = 900
COMMANDS = re.compile(r"^# (check|redeem again|redeem).*\n(curl .*)$", re.MULTILINE)


@pytest.mark.soak
@pytest.mark.timeout(SETUP_S + 120)
def test_two_commands(tmp_path: Path) -> None:
    clone, log = tmp_path / "clone", tmp_path / "log"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COUPONRY_", "VIRTUAL_ENV", "MAKE"))}
    port = free_port()
    with ProcessGroup(["make", "serve", f"PORT={port}"], kept, log, clone) as make:
        wait_until(lambda: make.main.poll() is not None or "# redeem again" in log.read_text(), "the commands to try", SETUP_S)
        assert make.main.poll() is None, log.read_text()
        commands = COMMANDS.findall(log.read_text())
        told = [(what, json.loads(subprocess.check_output(["bash", "-c", f"{curl} -sS"]))) for what, curl in commands]
        codes = [(what, answer["redemptionStatus"]["code"]) for what, answer in told]
        assert codes == [("check", 700), ("redeem", 700), ("redeem again", 711)]
        assert told[0][1]["redemption"][0]["isRedeemable"] is True
        os.killpg(make.id, signal.SIGTERM)  # as Ctrl-C would reach all of them
        make.await_end()
    assert "Traceback" not in log.read_text()
