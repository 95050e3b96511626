"""What is each storage driver, does it run here, and what did the same work cost with each?

A result is a Trial or a Refusal of `labkit.images.drivers`. Which drivers run depends on the kernel and the engine, and
what was measured on the computer: the page and the still picture show that, and the text has what holds everywhere.
"""

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from labkit.images.drivers import DRIVERS, Refusal, Trial
from labkit.show.look import ROLES, figure, mark, with_code
from labkit.show.still import frame_svg, text_svg

__all__ = ["drivers_html", "drivers_svg", "drivers_text", "growth_svg", "megabytes", "relations"]

Result = Trial | Refusal

LAST = "create 10"
TABLE_STYLE = (
    "<style>.lk .lkd-table{overflow-x:auto}.lk .lkd-table table{border-collapse:collapse;width:100%;font-size:inherit;"
    "color:inherit}"
    ".lk .lkd-table :is(th,td){text-align:left;vertical-align:top;padding:6px 14px 6px 0;white-space:normal;"
    "border-bottom:1px solid var(--lk-line);background:none;min-width:9em}"
    ".lk .lkd-table th[scope=row]{font-family:var(--lk-code);white-space:nowrap}"
    ".lk .lkd-table td:last-child{min-width:16em}.lk .lkd-table q{font-style:italic;overflow-wrap:anywhere}"
    ".lk .lkd-table{container-type:inline-size}@container (max-width:640px){.lk .lkd-table thead{display:none}"
    ".lk .lkd-table :is(table,tbody,tr,td,th){display:block}.lk .lkd-table td{border:0;padding:1px 0}"
    ".lk .lkd-table tr{padding:4px 0}.lk .lkd-table th[scope=row]{padding-bottom:2px}}</style>"
)
CAPTION = (
    "Look at the last column. Where a driver runs, the column has the bytes on the disk. Where it does not run, the "
    "column says why. The column before it says what the driver needs from the kernel."
)
RUNS, REFUSED, NOT_TRIED = "\N{CHECK MARK}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
WHO = {"dockerd": "dockerd says", "kernel": "the kernel refuses", "lab": "not tried here"}
ROW_PX, DRIVER_PX, WIDTH_PX, COLUMNS = 34, 78, 900, 95
BAR_X, BAR_PX = 190, 480
PARTS = ("engine", "container", "stderr")  # whose colours the image, the containers and the changed byte have


def megabytes(count: int) -> str:
    """Bytes as a text of megabytes, with one digit behind the point below 100.

    >>> megabytes(6_300_000), megabytes(144_700_000)
    ('6.3 MB', '145 MB')
    """
    value = count / 1e6
    return f"{value:.0f} MB" if value >= 99.95 else f"{value:.1f} MB"


def relations(trials: Sequence[Trial]) -> dict[str, bool]:
    """What holds between the drivers on every computer: a sentence, and whether it does.

    Raises KeyError without a trial of overlay2 and one of vfs.
    """
    by_driver = {trial.driver: trial for trial in trials}
    overlay, vfs = by_driver["overlay2"], by_driver["vfs"]
    sharing = [trial for trial in trials if DRIVERS[trial.driver].shares_blocks]
    return {
        "vfs keeps more bytes than overlay2": all(
            vfs.bytes_after(step) > overlay.bytes_after(step) for step in ("build", LAST, "change")
        ),
        "ten containers of overlay2 take less than one copy of the image": _created(overlay)
        < overlay.bytes_after("build"),
        "ten containers of vfs take more than ten copies of the image": _created(vfs)
        > 10 * overlay.bytes_after("build"),
        "one changed byte: overlay2 copies the whole file": overlay.growth("change") >= overlay.big_bytes,
        "one changed byte: vfs copies less than a tenth of the file": vfs.growth("change") < vfs.big_bytes / 10,
        "one changed byte: a driver that shares blocks copies less than a tenth of the file": all(
            trial.growth("change") < trial.big_bytes / 10 for trial in sharing
        ),
    }


def drivers_html(results: Sequence[Result]) -> str:
    """A table: what a layer is for each driver, what it needs from the kernel, and whether it runs here."""
    rows = "".join(
        f'<tr><th scope="row">{escape(result.driver)}</th><td>{escape(DRIVERS[result.driver].layer)}</td>'
        f"<td>{mark('kernel')} {escape(DRIVERS[result.driver].kernel_object)}</td><td>{_here_html(result)}</td></tr>"
        for result in results
    )
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("driver", "a layer is", "from the kernel", "on this machine")
    )
    body = f'<div class="lkd-table"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return figure("the storage drivers", body, caption=CAPTION, style=TABLE_STYLE)


def drivers_text(results: Sequence[Result]) -> str:
    """What each driver is, which is the same everywhere."""
    return "\n".join(
        f"{result.driver:<23} {DRIVERS[result.driver].layer} | {DRIVERS[result.driver].kernel_object}"
        for result in results
    )


def drivers_svg(results: Sequence[Result]) -> str:
    """The table as a still picture; it differs from computer to computer."""
    parts = []
    for number, result in enumerate(results):
        y = 24 + number * DRIVER_PX
        driver = DRIVERS[result.driver]
        here = "\n".join(wrap(_here(result), COLUMNS))
        parts += [
            text_svg(_sign(result), 10, y, columns=1, rows=1),
            text_svg(result.driver, 26, y, columns=24, rows=1),
            text_svg(f"a layer is: {driver.layer}", BAR_X, y, columns=COLUMNS, rows=1),
            text_svg(f"from the kernel: {driver.kernel_object}", BAR_X, y + 15, columns=COLUMNS, rows=1),
            text_svg(here, BAR_X, y + 30, columns=COLUMNS, rows=2),
        ]
    return frame_svg(parts, WIDTH_PX, 24 + len(results) * DRIVER_PX, differs=True)


def growth_svg(trials: Sequence[Trial], containers: int, *, changed: bool) -> str:
    """The bytes that each driver keeps with so many containers, as a still picture of bars; it differs, too."""
    most = max((trial.bytes_after("change") for trial in trials), default=1)
    parts = []
    for number, trial in enumerate(trials):
        x, y = float(BAR_X), 30 + number * ROW_PX
        parts.append(text_svg(trial.driver, 10, y, columns=24, rows=1))
        for kept, role in zip(_kept(trial, containers, changed), PARTS, strict=True):
            width = BAR_PX * kept / most
            parts.append(f'<rect x="{x:.1f}" y="{y - 14}" width="{width:.1f}" height="18" fill="{ROLES[role].light}"/>')
            x += width
        total = megabytes(sum(_kept(trial, containers, changed)))
        parts.append(text_svg(total, x + 8, y, columns=12, rows=1))
    words = f"{containers} container{'' if containers == 1 else 's'}{', and one byte changed' if changed else ''}"
    parts.append(text_svg(words, 10, 30 + len(trials) * ROW_PX, columns=80, rows=1))
    return frame_svg(parts, BAR_X + BAR_PX + 110, 44 + len(trials) * ROW_PX, differs=True)


def _kept(trial: Trial, containers: int, changed: bool) -> tuple[int, int, int]:
    """The bytes of the image, of the containers, and of the changed byte."""
    image = trial.bytes_after("build")
    made = trial.bytes_after(f"create {containers}") - image if containers else 0
    return image, max(0, made), max(0, trial.growth("change")) if changed else 0


def _created(trial: Trial) -> int:
    return trial.bytes_after(LAST) - trial.bytes_after("build")


def _sign(result: Result) -> str:
    if isinstance(result, Refusal):
        return NOT_TRIED if result.who == "lab" else REFUSED
    return RUNS


def _here(result: Result) -> str:
    if isinstance(result, Refusal):
        return f"{WHO[result.who]}: {result.words}"
    image, ten = megabytes(result.bytes_after("build")), megabytes(result.bytes_after(LAST))
    return f"runs: image {image}, with ten containers {ten}"


def _here_html(result: Result) -> str:
    if isinstance(result, Refusal):
        words = f"<q>{escape(result.words)}</q>" if result.who == "dockerd" else with_code(result.words)
        sign = NOT_TRIED if result.who == "lab" else mark("missing")
        return f'<span class="lk-ink-missing">{sign} {WHO[result.who]}:</span> {words}'
    return f'<span class="lk-ink-answer">{RUNS} <b>runs</b></span>{escape(_here(result)[4:])}'
