# Hint: The supervisor of this lesson follows the events `die` of containers with a label. Yours can follow those of
#   the container `phoenix`.
# Hint: The filters are `{"event": ["die"], "container": ["phoenix"]}`. The loop must run in a thread, so that the
#   cell ends.

import threading


def keep_phoenix(deaths):
    for death in deaths:
        engine.post(f"/containers/{death['Actor']['ID']}/start", check=False)


filters = {"filters": {"event": ["die"], "container": ["phoenix"]}}
phoenix_deaths = engine.json_lines("GET", "/events", query=filters)
lesson.undo(phoenix_deaths.close)
threading.Thread(target=keep_phoenix, args=(phoenix_deaths,), daemon=True).start()
sh("docker run --detach --name phoenix busybox sleep 600")
