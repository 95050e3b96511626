"""Do the doctor and tools/setup name the same Debian packages?"""

import re
from pathlib import Path

from labkit.machine.programs import PACKAGES

SETUP = Path(__file__).resolve().parents[2] / "tools/setup"


def test_what_the_doctor_misses_setup_installs() -> None:
    """Each program that a machine needs comes from a package that set-up looks for, by a name that both know."""
    (wanted,) = re.findall(r"^wanted='\n(.*?)^'", SETUP.read_text(), re.MULTILINE | re.DOTALL)
    installed = {line.partition(":")[0] for line in wanted.split()}

    assert [] == sorted(set(PACKAGES.values()) - installed)
    assert len(installed) > 10
