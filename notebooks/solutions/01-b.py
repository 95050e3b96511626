# Hint: `docker create` makes a container that is not started. A file comes in by `PUT
#   /containers/letter/archive?path=/`; its body is a tar.
# Hint: `curl` has to say that the body is a tar: `-H 'Content-Type: application/x-tar' --data-binary @/tmp/note.tar`.
#   Otherwise the engine takes the body for a web form, answers 200, and copies nothing.
# Hint: `docker cp` sends exactly that request. In Python: `engine.put(path, query={"path": "/"}, body=...)`, and
#   `tar cf /tmp/note.tar -C /tmp note.txt` makes the tar.

from pathlib import Path

sh("docker create --name letter busybox")
sh("echo hello > /tmp/note.txt && tar cf /tmp/note.tar -C /tmp note.txt")
engine.put("/containers/letter/archive", query={"path": "/"}, body=Path("/tmp/note.tar").read_bytes())
