# Hint: Without a certain setting, the new `dockerd` ends what it finds running. Section 6 has this setting.
# Hint: `reload_engine(engine, kept | {"live-restore": True})`. Start the container. Then
#   `kill -9 $(cat /run/docker.pid)` and `lesson.revive()`.

reload_engine(engine, kept | {"live-restore": True})
lesson.remove("survivor")  # in case of a second try
sh("docker run -d --name survivor busybox sleep 600")
sh("kill -9 $(cat /run/docker.pid)")
lesson.revive()
