# Hint: Four requests: create, attach, wait, start. Attach and wait stay open, so they come before start.
# Hint: The command is `["sh", "-c", "echo from me >&2; exit 7"]`. Use `engine.hijack` for attach and
#   `engine.stream` for wait, both in one `with`.

mine = {"Image": "busybox", "Cmd": ["sh", "-c", "echo from me >&2; exit 7"]}
engine.post("/containers/create", query={"name": "mine"}, json=mine)
with (
    engine.hijack("POST", "/containers/mine/attach", query={"stream": True, "stderr": True}) as talk,
    engine.stream("POST", "/containers/mine/wait", query={"condition": "next-exit"}) as wait,
):
    engine.post("/containers/mine/start")
    print(list(talk.frames()), b"".join(wait))
