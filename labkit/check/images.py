"""Is there the image that was asked for?"""

from labkit.api.engine import Engine
from labkit.check.verdict import Verdict

__all__ = ["check_image_tagged", "image_id"]


def check_image_tagged(engine: Engine, tag: str, same_as: str) -> Verdict:
    """Do both names lead to one image?"""
    identity = image_id(engine, tag)
    if identity is None:
        repository = tag.partition(":")[0]
        others = engine.get("/images/json", query={"filters": {"reference": [repository]}}).json()
        names = [name for image in others for name in image["RepoTags"] or []]
        return Verdict(True, f"there is {names[0]}, but no {tag}") if names else Verdict(attempted=False)
    return Verdict(True, "" if identity == image_id(engine, same_as) else f"{tag} is another image than {same_as}")


def image_id(engine: Engine, name: str) -> str | None:
    found = engine.get(f"/images/{name}/json", check=False)
    return found.json()["Id"] if found.answer.status == 200 else None
