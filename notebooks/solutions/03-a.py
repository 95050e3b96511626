# Hint: Which key of `daemon.json` did section 3 change, and what did `dockerd` need afterwards? Keep what the file has.
# Hint: `kept | {"labels": [...]}` is what the file had, with one key more. Write it as JSON. Then
#   `kill -HUP $(cat /run/docker.pid)`.

SETTINGS.write_text(json.dumps(kept | {"labels": ["team=blue"]}))
sh("kill -HUP $(cat /run/docker.pid); sleep 1")
