"""What can the learner's JupyterLab do that an ordinary one cannot?

`open_lab` starts it on the learner's folder. As an extension of the Jupyter server this module answers two requests of
the front end: POST labkit/home draws the home page anew, POST labkit/again {"lesson": "01-engine-api"} begins a lesson
anew. Both want what every request to a Jupyter server wants, its token or cookie. A folder that `labkit lab` has not
laid has neither.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NoReturn

from labkit.desk.folder import begin_again, is_desk, redraw_home
from labkit.desk.home import PAGE
from labkit.errors import LabError

__all__ = ["TERMINAL", "open_lab", "server_options"]

TERMINAL = ["labkit", "attach", "--wait"]  # what JupyterLab's terminal runs
WORKSPACES = ".workspaces"  # where JupyterLab keeps which tabs are open, below the learner's folder


def open_lab(folder: Path, *options: str) -> NoReturn:
    """Become JupyterLab on a learner's folder. Raises LabError where JupyterLab cannot be started."""
    command = [sys.executable, "-m", "jupyterlab", *server_options(folder)]
    # The tabs that were open come back. They are this folder's, not those of another JupyterLab of the same user.
    command += [f"--LabApp.workspaces_dir={folder / WORKSPACES}"]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    command += [] if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else ["--no-browser"]
    os.chdir(folder)
    try:
        os.execv(command[0], [*command, *options])
    except OSError as error:
        raise LabError(f"JupyterLab cannot be started ({error.strerror}).") from error


def server_options(folder: Path) -> list[str]:
    """What a Jupyter server is told, so that it shows this folder, and its terminals are not the host's."""
    program = shutil.which("labkit", path=str(Path(sys.executable).parent)) or "labkit"
    terminal = {"shell_command": [program, *TERMINAL[1:]]}  # on a command line, a dictionary is a Python literal
    return [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{PAGE}",
        f"--ServerApp.terminado_settings={terminal!r}",
    ]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """By this function Jupyter finds the extension."""
    return [{"module": "labkit.desk.server"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add the requests to a Jupyter server."""
    from jupyter_server.base.handlers import APIHandler
    from jupyter_server.utils import url_path_join
    from tornado import web

    folder = Path(server.root_dir)

    class Handler(APIHandler):
        """Answers for the learner's folder, if this server shows one."""

        @web.authenticated
        def post(self) -> None:
            if not is_desk(folder):
                raise web.HTTPError(404, "This folder holds no lessons.")
            try:
                answer = self.answer(json.loads(self.request.body or b"{}"))
            except (LabError, ValueError) as error:
                raise web.HTTPError(400, str(error)) from error
            self.finish(json.dumps(answer))

        def answer(self, asked: dict[str, Any]) -> dict[str, str]:
            raise NotImplementedError

    class Home(Handler):
        def answer(self, asked: dict[str, Any]) -> dict[str, str]:
            redraw_home(folder)
            return {"page": PAGE}

    class Again(Handler):
        def answer(self, asked: dict[str, Any]) -> dict[str, str]:
            name, kept = begin_again(folder, str(asked.get("lesson", "")))
            return {"path": name, "kept": kept}

    if is_desk(folder):  # the front end asks for it: PageConfig.getOption("labkitDesk")
        server.web_app.settings.setdefault("page_config_data", {})["labkitDesk"] = True
    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(
        ".*$", [(url_path_join(base, "labkit", name), handler) for name, handler in (("home", Home), ("again", Again))]
    )
