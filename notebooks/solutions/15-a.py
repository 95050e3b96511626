# Hint: `--cap-drop` takes a right away, and `--cap-add` gives one. `--cap-drop ALL` takes all of them.
# Hint: Docker takes away first, whatever the order of the options: `--cap-drop ALL --cap-add CHOWN`.

lesson.remove("giver")  # in case of a second try
sh("docker run -d --name giver --cap-drop ALL --cap-add CHOWN busybox sleep 600")
