"""Does a repository of a registry hold the image of another one?"""

from labkit.check.verdict import Verdict
from labkit.errors import RegistryError, RegistryRefusal
from labkit.images.registry import Registry

__all__ = ["check_promoted"]


def check_promoted(registry: Registry, source: str, target: str, tag: str) -> Verdict:
    """Do both repositories have the same manifest under this tag, and does the second have all of its blobs?

    Raises RegistryError where the registry's answers are broken.
    """
    try:
        wanted = registry.manifest(source, tag)
    except RegistryRefusal:
        return Verdict(attempted=False)  # there is nothing to be copied yet
    except RegistryError:
        if _answers(registry):
            raise
        return Verdict(attempted=False)
    value = wanted.json()
    blobs = [value["config"]["digest"], *(layer["digest"] for layer in value["layers"])]
    has = [registry.has_blob(target, digest) for digest in blobs]
    try:
        found = registry.manifest(target, tag)
    except RegistryRefusal as error:
        if error.status != 404:
            raise
        return _judge_without(registry, target, tag, has)
    if found.digest != wanted.digest:
        same = found.json() == value
        why = "its JSON says the same in other bytes" if same else "it lists other things"
        return Verdict(True, f"{target}:{tag} is another manifest than {source}:{tag}: {why}")
    return Verdict(
        True, "" if all(has) else f"{target} has the manifest, but {has.count(False)} of its blobs are missing"
    )


def _judge_without(registry: Registry, target: str, tag: str, has: list[bool]) -> Verdict:
    """What is there in a repository that has no such tag?"""
    try:
        tags = registry.tags(target)
    except RegistryRefusal:
        tags = []
    if tags:
        return Verdict(True, f"{target} has the tag {tags[0]}, but no {tag}")
    if any(has):
        return Verdict(True, f"{target} has {sum(has)} of the {len(has)} blobs, but no manifest with the tag {tag}")
    near = [name for name in registry.repositories() if name.endswith(target.rpartition("/")[2])]
    others = [name for name in near if name not in (target, target.replace("prod", "test"))]
    if others:
        return Verdict(True, f"there is a repository {others[0]}, but no {target}")
    return Verdict(True, f"{target} has none of the {len(has)} blobs, and no manifest yet")


def _answers(registry: Registry) -> bool:
    try:
        registry.call("GET", "/v2/")
    except RegistryError:
        return False
    return True
