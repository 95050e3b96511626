"""How far has this machine's boot come, and where did the time go?"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["STAGES", "boot_html"]

STAGES = {
    "root": "a root file system of its own",
    "network": "a network of its own",
    "kernel": "the notebook's Python",
    "engine": "the Docker Engine",
    "image": "the image busybox",
    "ready": "",
}


def boot_html(passed: Sequence[Mapping[str, Any]]) -> str:
    """Draw the stages of a boot as bars on one axis of time, those to come without a bar, and a progress bar above.

    `passed` holds the lines of the boot log, each with `stage`, `seconds` since the start, and `detail`. A `failed`
    stage is drawn with its reason. The colours are those of JupyterLab's theme.
    """
    seen = {str(line["stage"]): line for line in passed}
    done = sum(stage in seen for stage in STAGES)
    end = max((float(line["seconds"]) for line in passed), default=0.0)
    title = f"The machine is ready after {end:.1f} s" if "ready" in seen else "The machine is booting …"
    if failed := seen.get("failed"):
        title = "The machine did not come up"
    reason = f'<p role="alert">{escape(str(failed["detail"]))}</p>' if failed else ""
    return (
        f'<div style="color:var(--jp-ui-font-color1);line-height:1.5;max-width:52em"><div><b>{title}</b> '
        f'<progress value="{done}" max="{len(STAGES)}" aria-label="boot" style="vertical-align:middle"></progress>'
        f"</div>{''.join(_rows(passed, end))}{reason}</div>"
    )


def _rows(passed: Sequence[Mapping[str, Any]], end: float) -> Iterator[str]:
    """A bar begins where the stage before it in time ended: one processor's work, seen as it passed."""
    begin, spans = 0.0, {}
    for line in passed:
        seconds = float(line["seconds"])
        spans[str(line["stage"])] = (begin, max(seconds, begin))
        begin = max(seconds, begin)
    for stage, what in STAGES.items():
        if stage != "ready":
            yield _row(what, spans.get(stage), end)


def _row(what: str, span: tuple[float, float] | None, end: float) -> str:
    bar, seconds = "", "&hellip;"
    if span is not None:
        left, width = (100 * part / max(end, 0.001) for part in (span[0], span[1] - span[0]))
        seconds = f"{span[1]:.1f} s"
        bar = (
            f'<div style="margin-left:{left:.1f}%;width:{max(width, 0.5):.1f}%;height:0.7em;'
            'background:var(--jp-brand-color1,#1976d2)"></div>'
        )
    return (
        '<div style="display:grid;grid-template-columns:14em 1fr 4em;align-items:center;gap:8px">'
        f'<span>{what}</span><div>{bar}</div><span style="text-align:right">{seconds}</span></div>'
    )
