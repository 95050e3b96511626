# Hint: The file holds JSON: an object in braces, with one name and one value, both in double quotes.
# Hint: The name is the long option of `dockerd` without its dashes: `--storage-driver` becomes `storage-driver`.

from pathlib import Path

Path("/root/ci.json").write_text('{"storage-driver": "vfs"}')
