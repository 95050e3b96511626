# Hint: The request is `POST /images/busybox/tag`. Its query has two words: `repo` and `tag`.
# Hint: In Python it is `engine.post(path, query={...})`. With `curl`, put quotes round the whole address: the
#   shell takes an `&` without quotes for itself.

engine.post("/images/busybox/tag", query={"repo": "mine", "tag": "today"})
