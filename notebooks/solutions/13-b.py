def keep_phoenix(deaths):
    for death in deaths:
        engine.post(f"/containers/{death['Actor']['ID']}/start", check=False)


filters = {"filters": {"event": ["die"], "container": ["phoenix"]}}
phoenix_deaths = engine.json_lines("GET", "/events", query=filters)
lesson.undo(phoenix_deaths.close)
threading.Thread(target=keep_phoenix, args=(phoenix_deaths,), daemon=True).start()
sh("docker run --detach --name phoenix busybox sleep 600")
