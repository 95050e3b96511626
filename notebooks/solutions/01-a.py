engine.post("/images/busybox/tag", query={"repo": "mine", "tag": "today"})
