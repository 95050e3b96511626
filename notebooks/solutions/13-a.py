# Hint: `cat` repeats what it reads. The container needs an open input: `-i` with `docker create`, or `"OpenStdin":
#   true` in the request.
# Hint: Attach with `engine.hijack("POST", "/containers/parrot/attach", query={...})`, with `stream`, `stdin` and
#   `stdout` true. Then `talk.send(b"hello again\n")`. `docker attach` would not end by itself.

engine.post(
    "/containers/create",
    query={"name": "parrot"},
    json={"Image": "busybox", "Cmd": ["cat"], "OpenStdin": True},
)
engine.post("/containers/parrot/start")
with engine.hijack(
    "POST", "/containers/parrot/attach", query={"stream": True, "stdin": True, "stdout": True}
) as talk:
    talk.send(b"hello again\n")
    print(next(talk.frames()))
