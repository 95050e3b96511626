# Hint: Which key of `daemon.json` did section 3 change, and what did `dockerd` need afterwards? Keep what the file has.
# Hint: `json.loads(SETTINGS.read_text()) | {"labels": [...]}` is what the file has, and the labels. Write it as JSON. Then
#   `kill -HUP $(cat /run/docker.pid)`.

settings = json.loads(SETTINGS.read_text()) | {"labels": ["team=blue"]}
SETTINGS.write_text(json.dumps(settings))
sh("kill -HUP $(cat /run/docker.pid); sleep 1")
