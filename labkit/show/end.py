"""How does a page say what a learner has done in a lesson?"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from labkit.show.box import box_svg
from labkit.show.look import figure, mark, with_code

__all__ = ["END_TEXT", "end_html", "end_svg"]

END_TEXT = "(what you predicted and did, on a live page)"
DONE = '<b class="lk-ink-answer" aria-hidden="true">✓</b>'
END_STYLE = (
    "<style>.lk .lk-end{max-width:62em;padding:12px 16px;border:1px solid var(--lk-line);border-radius:8px}"
    ".lk .lk-end h3{margin:0 0 8px;font-size:calc(var(--lk-size)*1.25)}.lk .lk-end p{margin:0 0 8px}"
    ".lk .lk-end table{border-collapse:collapse;margin:0 0 12px;width:100%;font-size:inherit}"
    ".lk .lk-end :is(th,td){text-align:left;vertical-align:top;padding:4px 12px 4px 0;white-space:normal;"
    "border-bottom:1px solid var(--lk-line);background:none}.lk .lk-end code{white-space:nowrap}</style>"
)
HEADINGS = ("question", "you said", "the machine says", "why")
NUMBERS = {1: "One", 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight", 9: "Nine", 10: "Ten"}


def end_html(
    lesson: str,
    predictions: Mapping[str, Mapping[str, Any]],
    exercises: Mapping[str, Mapping[str, Any]],
    *,
    sentences: Sequence[str],
) -> str:
    """Draw the end of a lesson: what was done, and each wrong prediction with the machine's answer and why.

    `predictions` and `exercises` are as docs/progress.md has them; `sentences` are what else is to be said of the
    machine.
    """
    parts = [
        f"<h3>{escape(lesson)}: what you have done</h3>",
        f"<p>{words}</p>" if (words := _count_predictions(predictions)) else "",
        _table(
            [(q, one["choice"], one["answer"], one.get("why", "")) for q, one in predictions.items() if _wrong(one)]
        ),
        _list_exercises(exercises),
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences),
    ]
    return figure(f"the end of {lesson}", f'<div class="lk-end">{"".join(parts)}</div>', style=END_STYLE)


def end_svg(
    lesson: str,
    predictions: Mapping[str, Mapping[str, Any]],
    exercises: Mapping[str, Mapping[str, Any]],
    *,
    sentences: Sequence[str],
) -> str:
    """The same as a still picture, for whoever comes back."""
    wrong = [
        f"{question} You said: {one['choice']}. The machine says: {one['answer']}. {one.get('why', '')}"
        for question, one in predictions.items()
        if _wrong(one)
    ]
    done = [_exercise(name, one) for name, one in sorted(exercises.items())]
    return box_svg("you", [_count_predictions(predictions), *wrong, *done, *sentences], f"{lesson}: what you have done")


def _wrong(prediction: Mapping[str, Any]) -> bool:
    return prediction["right"] is False


def _count_predictions(predictions: Mapping[str, Mapping[str, Any]]) -> str:
    answered = [one for one in predictions.values() if one["answer"] is not None]
    made = [one for one in answered if one["choice"] is not None]
    if not answered:
        return ""
    right = sum(one["right"] is True for one in made)
    words = f"Predictions: you made {len(made)} of {len(answered)}, and {right or 'none'} of them {_be(right)} right."
    wrong = len(made) - right
    if wrong and right:
        words += (
            f" {NUMBERS.get(wrong, str(wrong))} {'prediction was' if wrong == 1 else 'predictions were'} not right."
        )
    if wrong:
        words += f" Look at {'it' if wrong == 1 else 'them'} again:"
    return words


def _be(count: int) -> str:
    return "was" if count < 2 else "were"


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    if not any(row[-1] for row in rows):  # another kernel knew why: a column of nothing says nothing
        rows = [row[:-1] for row in rows]
    head = "".join(f"<th>{name}</th>" for name in HEADINGS[: len(rows[0])])
    body = "".join(f"<tr>{''.join(f'<td>{with_code(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _list_exercises(exercises: Mapping[str, Mapping[str, Any]]) -> str:
    return "".join(
        f"<p>{DONE if one['done'] else mark('you')} {escape(_exercise(name, one))}</p>"
        for name, one in sorted(exercises.items())
    )


def _exercise(name: str, exercise: Mapping[str, Any]) -> str:
    if not exercise["tries"] and not exercise["done"]:
        return f"Exercise {name}: not tried yet."
    tries = f"{exercise['tries']} {'try' if exercise['tries'] == 1 else 'tries'}"
    if exercise["done"]:
        return f"Exercise {name}: done, with {tries}."
    return f"Exercise {name}: not done yet, after {tries}."
