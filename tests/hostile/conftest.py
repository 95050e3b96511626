"""How hard do the tests of hostile archives try, and where does hypothesis keep what it needs?"""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "hypothesis")  # not into the checkout
# `make test` tries the same examples each time; `make fuzz` tries others for as long as it is told.
usual: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("short", max_examples=150, derandomize=True, **usual)
settings.register_profile("long", max_examples=400, print_blob=True, **usual)
settings.load_profile("short")
