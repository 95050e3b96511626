"""What do the documents of an image say?

An index names manifests, a manifest names a configuration and layers by their digests, and the configuration names each
layer by the digest of its tar (its diff_id). Sources: the OCI image specification, `image-index.md`, `manifest.md`,
`config.md`, `descriptor.md`; Docker's own media types, which hold the same fields.

    >>> chain_ids(["sha256:" + "1" * 64])
    ('sha256:1111111111111111111111111111111111111111111111111111111111111111',)
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from labkit.errors import ImageError
from labkit.images.paths import printable

__all__ = [
    "LARGEST_DOCUMENT",
    "MOST_LAYERS",
    "Descriptor",
    "History",
    "ImageConfig",
    "Index",
    "Manifest",
    "chain_ids",
    "digest_of",
    "is_digest",
    "parse_config",
    "parse_document",
    "parse_index",
    "parse_manifest",
]

LARGEST_DOCUMENT = 8 * 2**20  # bytes; registries take manifests of 4 MiB at most
MOST_LAYERS = 1000  # the engine's own limit is 127
_MOST_DESCRIPTORS = 10_000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

T = TypeVar("T")


class Descriptor(NamedTuple):
    """A reference to bytes: what they are, their digest, how many they are."""

    media_type: str
    digest: str
    size_bytes: int
    platform: str = ""  # "linux/amd64", "linux/arm64/v8"; "" where none is given
    annotations: Mapping[str, str] = {}


class Manifest(NamedTuple):
    """One image for one platform."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]  # bottom first


class Index(NamedTuple):
    """A list of manifests, or of further indexes."""

    media_type: str
    manifests: tuple[Descriptor, ...]


class History(NamedTuple):
    """What one line of the build did."""

    created_by: str
    empty_layer: bool
    comment: str = ""
    created: str = ""


class ImageConfig(NamedTuple):
    """The configuration: what to run, and the layers by their diff_ids. Its digest is the image ID of the old store."""

    digest: str
    architecture: str
    os: str
    diff_ids: tuple[str, ...]  # bottom first
    history: tuple[History, ...]
    config: Mapping[str, Any]  # Env, Cmd, Entrypoint, Labels and others, as they stand

    def created_by(self) -> tuple[str, ...]:
        """Give for each layer the line of the history that made it; "" for all where the history does not match."""
        lines = [line.created_by for line in self.history if not line.empty_layer]
        return tuple(lines) if len(lines) == len(self.diff_ids) else ("",) * len(self.diff_ids)


def digest_of(data: bytes) -> str:
    """Give the digest of bytes, as "sha256:..."."""
    return f"sha256:{sha256(data).hexdigest()}"


def is_digest(text: object) -> bool:
    """Tell whether a text is a digest as labkit computes it: of sha256, in lower case."""
    return isinstance(text, str) and bool(_DIGEST.fullmatch(text))


def chain_ids(diff_ids: Iterable[str]) -> tuple[str, ...]:
    """Give for each layer the name of everything up to it: the digest of "chain_id_below diff_id"."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)


def parse_document(data: bytes, where: str) -> Any:
    """Read JSON; ImageError says what is wrong with it, or that it is larger than LARGEST_DOCUMENT."""
    if len(data) > LARGEST_DOCUMENT:
        raise ImageError(where, f"a document of {len(data):,} bytes; at most {LARGEST_DOCUMENT:,} are read")
    try:
        return json.loads(data)
    except RecursionError:
        raise ImageError(where, "JSON that is nested too deep") from None
    except ValueError as error:
        raise ImageError(where, f"no JSON ({printable(str(error))})") from None


def parse_index(data: bytes, where: str) -> Index:
    """Read an index (OCI) or a manifest list (Docker)."""
    document = _table(parse_document(data, where), where)
    found = _list(document, "manifests", where)
    if len(found) > _MOST_DESCRIPTORS:
        raise ImageError(where, f"{len(found):,} manifests; at most {_MOST_DESCRIPTORS:,} are read")
    return Index(_text(document, "mediaType", where), tuple(_descriptor(each, where) for each in found))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest of an image; ImageError for one that has no configuration, as an index has none."""
    document = _table(parse_document(data, where), where)
    if "config" not in document:
        raise ImageError(where, "no manifest of an image: it names no configuration")
    layers = _list(document, "layers", where)
    return Manifest(
        _text(document, "mediaType", where),
        _descriptor(document["config"], where),
        tuple(_descriptor(each, where) for each in _few(layers, where)),
    )


def parse_config(data: bytes, where: str) -> ImageConfig:
    """Read the configuration of an image; its digest is computed from the bytes."""
    document = _table(parse_document(data, where), where)
    rootfs: dict[str, Any] = _get(document, "rootfs", dict, where, {})
    diff_ids = _list(rootfs, "diff_ids", where)
    for each in _few(diff_ids, where):
        if not is_digest(each):
            raise ImageError(where, f"{printable(str(each))!r} is no sha256 digest of a layer")
    return ImageConfig(
        digest_of(data),
        _text(document, "architecture", where),
        _text(document, "os", where),
        tuple(diff_ids),
        tuple(_history(each, where) for each in _list(document, "history", where)),
        _get(document, "config", dict, where, {}),
    )


def _history(found: object, where: str) -> History:
    line = _table(found, where)
    return History(
        _text(line, "created_by", where),
        _get(line, "empty_layer", bool, where, False),
        _text(line, "comment", where),
        _text(line, "created", where),
    )


def _descriptor(found: object, where: str) -> Descriptor:
    table = _table(found, where)
    digest, size = table.get("digest"), table.get("size")
    if not is_digest(digest):
        raise ImageError(where, f"{printable(str(digest))!r} is no sha256 digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**63:
        raise ImageError(where, f"{printable(str(size))!r} is no size of {digest}")
    annotations: dict[str, Any] = _get(table, "annotations", dict, where, {})
    platform: dict[str, Any] = _get(table, "platform", dict, where, {})
    words = [_text(platform, key, where) for key in ("os", "architecture", "variant")]
    return Descriptor(
        _text(table, "mediaType", where),
        str(digest),
        size,
        "/".join(word for word in words if word),
        {key: value for key, value in annotations.items() if isinstance(value, str)},
    )


def _few(found: list[T], where: str) -> list[T]:
    if len(found) > MOST_LAYERS:
        raise ImageError(where, f"{len(found):,} layers; at most {MOST_LAYERS:,} are read")
    return found


def _table(found: object, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ImageError(where, f"a JSON object was expected, and there is {_name_of(found)}")
    return found


def _list(table: Mapping[str, Any], key: str, where: str) -> list[Any]:
    return _get(table, key, list, where, [])


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    return _get(table, key, str, where, "")


def _get(table: Mapping[str, Any], key: str, kind: Callable[..., T], where: str, default: T) -> T:
    """Give the value of a key; where it is absent or null (Go writes an empty list so), the default."""
    found = table.get(key)
    if found is None:
        return default
    if not isinstance(found, kind):  # type: ignore[arg-type]
        raise ImageError(where, f"{key} is {_name_of(found)}")
    return found  # type: ignore[no-any-return]


def _name_of(found: object) -> str:
    return {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}.get(
        type(found), "a number"
    )
