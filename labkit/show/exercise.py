"""How does a page say what a check found, and which hints there are?"""

from collections.abc import Sequence
from html import escape

from labkit.show.box import box_svg
from labkit.show.look import figure, with_code

__all__ = ["exercise_html", "exercise_svg", "hints_html", "hints_svg", "hints_text"]

STYLE = (
    "<style>.lk .lk-judged{max-width:62em;padding:12px 16px;border-style:solid;border-width:1px 1px 1px 8px;"
    "border-radius:8px;font-size:calc(var(--lk-size)*1.1);line-height:1.6}.lk .lk-judged p{margin:4px 0}"
    ".lk .lk-judged .lk-state{font-size:calc(var(--lk-size)*1.5);font-weight:700;margin:0}"
    ".lk .lk-hint{max-width:62em;margin:8px 0 0;padding:8px 16px;border-left:4px solid var(--lk-line);line-height:1.6}"
    ".lk .lk-hint code{white-space:nowrap}</style>"
)
# The role that gives the box its colour, and the words, by what the verdict begins with.
STATES = {
    "done": ("answer", "✓ Done"),
    "not yet": ("container", "◐ Not yet"),
    "not attempted": ("you", "○ Not attempted"),
}
NOTHING = "The check has found nothing yet of what the exercise asks for."


def exercise_html(exercise: str, state: str, seen: str, tries: int, hints: Sequence[str] = (), after: str = "") -> str:
    """Draw a verdict large: `state` is "done", "not yet" or "not attempted", `seen` what the check saw.

    `hints` are those that the tries have earned, `after` is a sentence on where there is more.
    """
    role, words = STATES[state]
    count = f" &nbsp;<small>{_count(tries)}</small>" if tries else ""
    found = _found(state, seen)
    lines = [f'<p class="lk-state">{words}{count}</p>', f"<p>{with_code(found)}</p>" if found else ""]
    box = f'<div class="lk-judged lk-fill-{role}" role="status">{"".join(lines)}</div>'
    return figure(f"exercise {escape(exercise)}: {state}", box + _hints(hints, after), style=STYLE)


def exercise_svg(state: str, seen: str, tries: int, hints: Sequence[str] = (), after: str = "") -> str:
    """The same as a still picture, for whoever comes back."""
    role, words = STATES[state]
    title = f"{words} {_count(tries)}" if tries else words
    return box_svg(role, [_found(state, seen), *_hint_lines(hints, after)], title)


def hints_svg(hints: Sequence[str], after: str = "") -> str:
    """Draw hints alone, as a still picture."""
    return box_svg("you", _hint_lines(hints, after))


def hints_html(exercise: str, hints: Sequence[str], after: str = "") -> str:
    """Draw hints alone."""
    return figure(f"hints of exercise {exercise}", _hints(hints, after), style=STYLE)


def hints_text(hints: Sequence[str], after: str = "") -> str:
    return "\n".join(_hint_lines(hints, after))


def _hint_lines(hints: Sequence[str], after: str) -> list[str]:
    return [*(f"Hint {number}: {hint}" for number, hint in enumerate(hints, 1)), *([after] if after else [])]


def _found(state: str, seen: str) -> str:
    return f"The check saw: {seen}." if seen else "" if state == "done" else NOTHING


def _count(tries: int) -> str:
    return f"after {tries} {'try' if tries == 1 else 'tries'}"


def _hints(hints: Sequence[str], after: str) -> str:
    lines = [f"<b>Hint {number}.</b> {with_code(hint)}" for number, hint in enumerate(hints, 1)]
    lines += [with_code(after)] if after else []
    return "".join(f'<div class="lk-hint">{line}</div>' for line in lines)
