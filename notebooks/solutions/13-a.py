engine.post(
    "/containers/create", query={"name": "parrot"}, json={"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True}
)
engine.post("/containers/parrot/start")
with engine.hijack("POST", "/containers/parrot/attach", query={"stream": True, "stdin": True, "stdout": True}) as talk:
    talk.send(b"pieces of eight\n")
    print(next(talk.frames()))
