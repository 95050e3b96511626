"""What does a notebook see on a host that cannot carry a lab machine?

A kernel all the same, which answers each cell with the reason and the cure.
"""

from typing import Any

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel

__all__ = ["run_refusal"]


def run_refusal(connection_file: str, reason: str) -> None:
    """Serve a Jupyter connection until it is shut down; every cell fails with `reason`."""

    class Refusal(Kernel):
        implementation = "labkit"
        implementation_version = "1"
        banner = reason
        language_info = {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"}

        async def do_execute(self, code: str, silent: bool, *_: Any, **__: Any) -> dict[str, Any]:
            error = {"ename": "MachineError", "evalue": reason, "traceback": [f"MachineError: {reason}"]}
            if not silent:
                self.send_response(self.iopub_socket, "error", error)  # type: ignore[no-untyped-call]
            return {"status": "error", "execution_count": self.execution_count, **error}

    IPKernelApp.launch_instance(["-f", connection_file], kernel_class=Refusal)
