"""Is there the image that was asked for?"""

from labkit.api.engine import Engine
from labkit.check.finding import find_image
from labkit.check.verdict import Verdict

__all__ = ["check_image_tagged"]


def check_image_tagged(engine: Engine, tag: str, same_as: str) -> Verdict:
    """Do both names lead to one image? Raises EngineRefusal where the engine cannot tell."""
    wanted = find_image(engine, same_as)
    if isinstance(wanted, Verdict):
        return Verdict(True, f"there is no image {same_as} here any more")
    found = find_image(engine, tag)
    if not isinstance(found, Verdict):
        return Verdict(True, "" if found == wanted else f"{tag} is another image than {same_as}")
    if found.attempted:
        return found
    names = [
        name for image in engine.get("/images/json").json() for name in image["RepoTags"] or [] if image["Id"] == wanted
    ]
    others = [name for name in names if name not in (same_as, f"{same_as}:latest")]
    return Verdict(True, f"{same_as} has a second name, {others[0]}, but not {tag}") if others else found
