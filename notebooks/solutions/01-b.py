sh("docker create --name letter busybox")
sh("echo hello > /tmp/note.txt && tar cf /tmp/note.tar -C /tmp note.txt")
engine.put("/containers/letter/archive", query={"path": "/"}, body=Path("/tmp/note.tar").read_bytes())
