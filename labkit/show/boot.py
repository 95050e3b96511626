"""How far has this machine's boot come?"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["STAGES", "boot_html"]

STAGES = ("root", "network", "kernel", "engine", "image", "ready")


def boot_html(passed: Sequence[Mapping[str, Any]]) -> str:
    """Draw the stages of a boot: those that have passed with their seconds since the start, then those to come.

    `passed` holds the lines of the boot log, each with `stage`, `seconds` and `detail`. A `failed` stage is drawn
    with its reason. The colours are those of JupyterLab's theme.
    """
    seen = {str(line["stage"]): line for line in passed}
    failed = seen.get("failed")
    done = sum(stage in seen for stage in STAGES)
    rows = "".join(_row(stage, seen.get(stage)) for stage in STAGES)
    bar = f'<progress value="{done}" max="{len(STAGES)}" aria-label="boot" style="width:24em"></progress>'
    reason = f'<p role="alert"><b>failed</b>: {escape(str(failed["detail"]))}</p>' if failed else ""
    return f'<div style="color:var(--jp-ui-font-color1)">{bar}<table>{rows}</table>{reason}</div>'


def _row(stage: str, line: Mapping[str, Any] | None) -> str:
    if line is None:
        return f"<tr><td>&hellip;</td><td>{stage}</td><td></td><td></td></tr>"
    seconds, detail = f"{float(line['seconds']):.1f} s", escape(str(line["detail"]))
    return f"<tr><td>&#10003;</td><td>{stage}</td><td>{seconds}</td><td>{detail}</td></tr>"
