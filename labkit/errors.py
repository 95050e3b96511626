"""Which errors can labkit raise?

    LabError                      everything below; catch this one to catch them all
    ├── MachineError              the lab machine did not boot, or its daemon did not come up
    │   ├── EngineUnfit           no machine can run the engine that is installed, or that the environment names
    │   ├── DriverRefused         a storage driver does not run here
    │   └── PortTaken             a port of the notebook's kernel belongs to another program
    ├── ShellStopped              a shell line did not end in time, or wrote without end
    ├── ExperimentError           an experiment in a process of its own did not end as it should


    ├── ContainerError            a container that is made by hand was not started, or is not there
    ├── NotHeard                  nobody said to the engine what a record was asked for
    ├── ImageError                the bytes of an image are not what an image's bytes must be
    ├── RegistryError             a conversation with a registry went wrong, or what it sent is not what was asked for
    │   └── RegistryRefusal       the registry understood, and said no (status 400 and above)
    └── EngineError               a conversation with the engine went wrong
        ├── EngineUnreachable     nobody listens at the engine's address, or nobody that TLS trusts
        ├── EngineTimeout         the engine did not finish its answer in time
        ├── EngineProtocolError   the bytes that came back are not what HTTP promises
        └── EngineRefusal         the engine understood, and said no (status 400 and above)

Every message says what happened and, where there is something to do, what to do next.
"""

__all__ = [
    "ContainerError",
    "DriverRefused",
    "EngineError",
    "EngineProtocolError",
    "EngineRefusal",
    "EngineTimeout",
    "EngineUnfit",
    "EngineUnreachable",
    "ExperimentError",
    "ImageError",
    "LabError",
    "MachineError",
    "NotHeard",
    "PortTaken",
    "RegistryError",
    "RegistryRefusal",
    "ShellStopped",
]


class LabError(Exception):
    """Anything that labkit reports on purpose."""


class MachineError(LabError):
    """The lab machine did not boot, or its daemon did not come up."""


class EngineUnfit(MachineError):
    """No machine can run the engine that is installed, or that the environment names: what was found, and the cure."""

    def __init__(self, found: str, cure: str) -> None:
        super().__init__(f"{found} {cure}")
        self.found = found
        self.cure = cure


class DriverRefused(MachineError):
    """A storage driver does not run here: `words` say why, and `who` says them ("dockerd", "kernel" or "lab")."""

    def __init__(self, driver: str, words: str, who: str) -> None:
        super().__init__(f"The storage driver {driver} does not run here. {who} says: {words}")
        self.driver = driver
        self.words = words
        self.who = who


class PortTaken(MachineError):
    """A port of the notebook's kernel belongs to another program."""

    def __init__(self, port: int, words: str) -> None:
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program ({words}). "
            "Restart the kernel (Kernel > Restart): it gets another one."
        )


class ShellStopped(LabError):
    """A shell line did not end in time, or wrote without end, and was stopped; `said` is its ShellResult."""

    def __init__(self, words: str, said: object) -> None:
        super().__init__(words)
        self.said = said


class ExperimentError(LabError):
    """An experiment in a process of its own (`labkit.isolation.helper`) did not end as it should."""


class ContainerError(LabError):
    """A container that is made by hand was not started, or is not there: the step, and the kernel's words."""


class NotHeard(LabError):
    """Nobody said to the engine what a record was asked for."""


class ImageError(LabError):
    """The bytes of an image are not what an image's bytes must be: where, and what is wrong there.

    `where` is a place as a reader can find it, as "layer 3, entry 812 of image.tar". Both are printable, in one line.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class RegistryError(LabError):
    """A conversation with a registry went wrong, or what it sent is not what was asked for."""


class RegistryRefusal(RegistryError):
    """The registry understood the request and said no; `code` ("DIGEST_INVALID") and `message` are its own words."""

    def __init__(self, status: int, code: str, message: str, subject: str) -> None:
        super().__init__(status, code, message, subject)
        self.status = status
        self.code = code
        self.message = message
        self.subject = subject

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.subject, str(self.status), self.code, self.message)))


class EngineError(LabError):
    """A conversation with the engine went wrong."""


class EngineUnreachable(EngineError):
    """Nobody listens at the engine's address, or nobody that TLS trusts."""


class EngineTimeout(EngineError):
    """The engine did not finish its answer in time."""


class EngineProtocolError(EngineError):
    """The bytes that came back are not what HTTP promises."""


class EngineRefusal(EngineError):
    """The engine understood the request and said no; `message` holds its own words."""

    def __init__(self, status: int, message: str, method: str, path: str) -> None:
        super().__init__(status, message, method, path)
        self.status = status
        self.message = message
        self.method = method
        self.path = path

    def __str__(self) -> str:
        return f"{self.method} {self.path}: {self.status}: {self.message}"
