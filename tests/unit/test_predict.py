"""Does a prediction note what the learner says, and nothing before?"""

from ipywidgets import ToggleButtons

from labkit.widgets.predict import Prediction


def buttons(prediction: Prediction) -> ToggleButtons:
    return next(child for child in prediction.children if isinstance(child, ToggleButtons))


def test_the_text_is_the_question() -> None:
    """A stored notebook holds the question and every answer, and no address in memory."""
    assert repr(Prediction("Who?", "he", "she")) == "Predict: Who?\n  ( ) he\n  ( ) she"


def test_a_click_is_noted() -> None:
    """No answer is chosen until one is, and the last choice counts."""
    prediction = Prediction("Who?", "he", "<she>")
    assert prediction.choice is None

    buttons(prediction).value = "<she>"

    assert prediction.choice == "<she>"
    assert "&lt;she&gt;" in prediction.children[-1].value
