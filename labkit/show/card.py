"""How does a page ask for a prediction, and answer it?"""

from collections.abc import Callable, Sequence

from labkit.show.box import box_svg
from labkit.show.look import PAGE, ROLES, figure, with_code
from labkit.show.still import frame_svg, words_svg, wrap_words

__all__ = ["LETTERS", "card_html", "card_svg", "card_text", "verdict_html", "verdict_svg", "verdict_text"]

LETTERS = "ABCDEFGHIJ"
INK, LINE = PAGE["ink"][0], PAGE["line"][0]
STILL_WIDTH = 760
LEAST_EM = 16
TWO_IN_A_ROW_EM = 22


def _code(*boxes: str) -> str:
    """Code as large as the words beside it, and not broken: a line would end after a dash, as in `--name`.

    Where code is wider than its box, the box scrolls: code that scrolls itself does not stand on the line of the words.
    """
    within = ",".join(f".lk {box} code" for box in boxes)
    scrolls = ",".join(f".lk {box}" for box in boxes)
    return (
        f"{within}{{white-space:nowrap;font-size:.95em;padding:0 .3em;border-radius:4px;background:var(--lk-soft)}}"
        f"{scrolls}{{overflow-x:auto}}"
    )


CARD_STYLE = (
    "<style>.lk-ask{font-size:calc(var(--lk-size)*1.25);font-weight:600;margin:0 0 8px}"
    ".lk .lk-answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(var(--least),100%),1fr));gap:8px;"
    "max-width:62em;padding:3px}"
    # The letter and the answer in a row; who said it is below, where there is room for it.
    ".lk .lk-answers button{display:grid;grid-template-columns:auto minmax(0,1fr);align-content:center;"
    "align-items:center;gap:4px 12px;min-height:52px;padding:8px 12px;text-align:left;"
    "font-size:calc(var(--lk-size)*1.15);background:var(--lk-ground);border:2px solid var(--lk-line);"
    "border-radius:8px;white-space:normal;overflow-wrap:anywhere}"
    ".lk .lk-answers button:not([aria-disabled=true]):hover{border-color:var(--lk-request);background:var(--lk-soft)}"
    ".lk .lk-answers [aria-disabled=true]{cursor:default}"
    ".lk .lk-letter{flex:none;display:inline-grid;place-items:center;width:2em;height:2em;border-radius:50%;"
    "border:2px solid currentColor;font-weight:700}"
    '.lk .lk-answers [aria-pressed="true"]{border-color:var(--lk-request);'
    "background:color-mix(in srgb,var(--lk-request) 12%,var(--lk-ground))}"
    '.lk .lk-answers [aria-pressed="true"] .lk-letter{background:var(--lk-request);border-color:var(--lk-request);'
    "color:var(--lk-ground)}"
    ".lk .lk-answers [data-machine]{border-style:double;border-width:4px;border-color:var(--lk-answer)}"
    ".lk .lk-says{grid-column:2;display:flex;flex-wrap:wrap;gap:4px 8px}.lk .lk-says:empty{display:none}"
    + _code(".lk-ask", ".lk-answer-words")
    + ".lk .lk-note{min-height:1.5em;margin:8px 0 0}</style>"
)
VERDICT_STYLE = (
    "<style>.lk .lk-verdict{max-width:62em;padding:8px 16px;border-style:solid;border-width:1px 1px 1px 8px;"
    "border-radius:8px;font-size:calc(var(--lk-size)*1.1);line-height:1.6}.lk .lk-verdict p{margin:0}"
    + _code(".lk-verdict p")
    + "</style>"
)


def card_html(question: str, answers: Sequence[str]) -> str:
    """Draw a question and its answers before a choice; the page marks what was chosen, and what the machine gave."""
    buttons = "".join(
        f'<button type="button" data-answer="{number}" aria-pressed="false"><span class="lk-letter">{letter}</span>'
        f'<span class="lk-answer-words">{with_code(answer)}</span><span class="lk-says"></span></button>'
        for number, (letter, answer) in enumerate(zip(LETTERS, answers, strict=False))
    )
    body = (
        f'<div class="lk-ask">{with_code(question)}</div>'
        f'<div class="lk-answers" style="--least:{_least_em(answers)}em">{buttons}</div>'
        '<div class="lk-note" aria-live="polite"></div>'
    )
    return figure(f"prediction: {question}", body, style=CARD_STYLE)


def _least_em(answers: Sequence[str]) -> int:
    """How wide an answer is at least, so that its longest code, which is not broken, has room beside the letter.

    Four answers stand in two rows of two, not in a row of three and one alone.
    """
    codes = [code for answer in answers for code in answer.split("`")[1::2]]
    least = TWO_IN_A_ROW_EM if len(answers) == 4 else LEAST_EM
    return max(least, round(0.6 * max(map(len, codes), default=0)) + 7)


def card_svg(question: str, answers: Sequence[str], chosen: int = -1, given: int = -1) -> str:
    """Draw a card as a still picture; `chosen` and `given` are the numbers of the learner's and the machine's answer.

    Without them it does not depend on who was asked: so it is stored.
    """
    rows = wrap_words(question)
    parts = [words_svg(row, 8, 24 + 20 * number, 600) for number, row in enumerate(rows)]
    y = 20.0 * len(rows) + 20
    for number, (letter, answer) in enumerate(zip(LETTERS, answers, strict=False)):
        rows = wrap_words(answer)
        said = ["you"] * (number == chosen) + ["the machine"] * (number == given)
        height = 20 * len(rows) + 20 + 20 * bool(said)
        line = ROLES["request"].light if number == chosen else ROLES["answer"].light if number == given else LINE
        frame = f'<rect x="8" y="{y:g}" width="{STILL_WIDTH - 16}" height="{height}" rx="8" fill="none"'
        parts.append(f'{frame} stroke="{line}" stroke-width="{4 if said else 2}"/>')
        parts.append(f'<circle cx="34" cy="{y + height / 2:g}" r="13" fill="none" stroke="{INK}" stroke-width="2"/>')
        parts.append(words_svg(letter, 29.5, y + height / 2 + 5, 700))
        parts += [words_svg(row, 60, y + 26 + 20 * number) for number, row in enumerate(rows)]
        parts += [words_svg(", ".join(said), 60, y + 26 + 20 * len(rows), 700)] if said else []
        y += height + 8
    if chosen >= 0:
        machine = f" The machine says {LETTERS[given]}{', too' if given == chosen else ''}." if given >= 0 else ""
        parts.append(words_svg(f"You said {LETTERS[chosen]}.{machine}", 8, y + 16))
        y += 28
    return frame_svg(parts, STILL_WIDTH, y)


def card_text(question: str, answers: Sequence[str]) -> str:
    return "\n".join([f"Predict: {question}", *(f"  ( ) {answer}" for answer in answers)])


def verdict_html(choice: str | None, answer: str, why: str) -> str:
    """Draw what the learner said and what the machine says, and why, in words that need no colour."""
    role, words = _judge(choice, answer, lambda text: f"<b>{with_code(text)}</b>")
    body = f'<div class="lk-verdict lk-fill-{role}" role="status"><p>{words}</p><p>{with_code(why)}</p></div>'
    return figure(f"verdict: {answer}", body, style=VERDICT_STYLE)


def verdict_svg(choice: str | None, answer: str, why: str) -> str:
    """The same as a still picture, for whoever comes back: it is not stored with the text, as it has the choice."""
    role, words = _judge(choice, answer, str)
    return box_svg(role, [words, why])


def _judge(choice: str | None, answer: str, mark: Callable[[str], str]) -> tuple[str, str]:
    """The role that gives a verdict its colour, and its words."""
    machine = f"The machine says: {mark(answer)}."
    if choice is None:
        return "you", f"You made no prediction. {machine}"
    if choice == answer:
        return "answer", f"Right. You said: {mark(choice)}. The machine says the same."
    return "container", f"You said: {mark(choice)}. {machine}"


def verdict_text(answer: str, why: str) -> str:
    """What is stored: it does not depend on who was asked."""
    return f"The machine says: {answer}. {why}"
