"""What is in an image that lies in a file or in a directory?

Every form that engines write: `docker save` of old engines (manifest.json, a directory for each layer), of newer ones
and of the containerd store (the same over an OCI layout, with nested indexes and attestations), and OCI layouts as a
tar or as a directory; layers plain, gzip or zstd; a tar that is compressed as a whole, or comes through a pipe ("-").
Sources: OCI image specification, `image-layout.md`; moby, `image/spec/v1.2.md` ("Combined Image JSON").
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from io import RawIOBase
from typing import Any, NamedTuple

from labkit.errors import ImageError
from labkit.images.blobs import Blobs, Budget, DirectoryBlobs, ParsedLayer, StreamBlobs, TarBlobs
from labkit.images.compression import FileReader, Inflated, Pipe, compression_of, open_layer
from labkit.images.layers import Analysis, analyse
from labkit.images.oci import (
    MOST_LAYERS,
    Descriptor,
    ImageConfig,
    Manifest,
    digest_of,
    parse_config,
    parse_document,
    parse_index,
    parse_manifest,
)
from labkit.images.paths import clean, printable
from labkit.images.tar import BLOCK, Reader, looks_like_tar

__all__ = ["analyse_blobs", "analyse_file", "analyse_stream", "open_layers"]

Progress = Callable[[int, int], None]  # bytes done, bytes in all (0 where that is not known)

_DEEPEST = 8  # indexes in each other
_MOST_DOCUMENTS = 2000  # that are opened to find an image
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class _Image(NamedTuple):
    """An image of the archive, before its layers are read."""

    name: str
    config_path: str
    layer_paths: tuple[str, ...]
    manifest: Manifest | None = None
    manifest_digest: str = ""
    platform: str = ""


_Named = tuple[_Image, Sequence[str]]  # with the names that the archive gives it


def analyse_file(
    path: str | os.PathLike[str], *, name: str | None = None, digests: bool = True, progress: Progress | None = None
) -> Analysis:
    """Read an image from a file, a directory, or ("-") standard input.

    `name` says which image, where there are several. With `digests` every digest is computed from the bytes and
    compared with what the documents say; without, only those of the documents. ImageError says where something is
    wrong; OSError where the file cannot be read.
    """
    path = os.fspath(path)
    if path == "-":
        return analyse_stream(
            lambda size: os.read(0, size), "standard input", name=name, digests=digests, progress=progress
        )
    if os.path.isdir(path):
        blobs: Blobs = DirectoryBlobs(path)
        try:
            return analyse_blobs(blobs, _budget(progress, 0), name=name, digests=digests)
        finally:
            blobs.close()
    shown = os.path.basename(path)
    with open(path, "rb", buffering=0) as file:
        stream = partial(analyse_stream, partial(_read_some, file), shown, name=name, digests=digests)
        if not file.seekable():
            return stream(progress=progress)
        reader = FileReader(file.fileno())
        head = reader.read_at(0, BLOCK)
        if compression_of(head) in ("gzip", "zstd"):  # as a whole
            return stream(progress=progress, total_bytes=reader.end)
        if not looks_like_tar(head):
            raise ImageError(printable(shown), _no_archive(head))
        return analyse_blobs(TarBlobs(file.fileno(), shown), _budget(progress, reader.end), name=name, digests=digests)


def analyse_stream(
    read: Callable[[int], bytes],
    shown: str,
    *,
    name: str | None = None,
    digests: bool = True,
    progress: Progress | None = None,
    total_bytes: int = 0,
) -> Analysis:
    """Read an image from what `read(size)` gives, once; `shown` names it in errors, `total_bytes` is for `progress`."""
    pipe, budget = Pipe(_watched(read, progress, total_bytes) if progress else read), Budget()
    head = pipe.read_at(0, BLOCK)
    compression = compression_of(head)
    if compression not in ("gzip", "zstd") and not looks_like_tar(head):
        raise ImageError(printable(shown), _no_archive(head))
    reader = Inflated(pipe, compression) if compression else pipe
    return analyse_blobs(StreamBlobs(reader, shown, budget, digests=digests), budget, name=name, digests=digests)


def open_layers(file: int, shown: str, name: str | None = None) -> tuple[ImageConfig, list[Reader]]:
    """The configuration of an image in an archive, and readers of its layers' tars, bottom first.

    `file` is the descriptor of a tar that is not compressed as a whole, `shown` names it in errors, `name` says which
    image. Raises ImageError.
    """
    if not looks_like_tar(FileReader(file).read_at(0, BLOCK)):
        raise ImageError(printable(shown), "no archive of an image as `docker save` writes it: no plain tar")
    blobs = TarBlobs(file, shown)
    image = _find_image(blobs, name)
    config = parse_config(blobs.document(image.config_path), f"{printable(image.config_path)} of {blobs.name}")
    readers = []
    for path in image.layer_paths:
        found = blobs.find(path)
        if found is None:
            raise blobs.missing(path)
        reader, offset, size = found
        readers.append(open_layer(reader.part(offset, size)))
    return config, readers


def analyse_blobs(blobs: Blobs, budget: Budget, *, name: str | None = None, digests: bool = True) -> Analysis:
    """Find the image in an archive, read its layers, compare what is said of them, and analyse them."""
    image = _find_image(blobs, name)
    data = blobs.document(image.config_path)
    where = f"{printable(image.config_path)} of {blobs.name}"
    _compare(digest_of(data), _digest_in(image.config_path), where)
    if image.manifest:
        _compare(digest_of(data), image.manifest.config.digest, where)
    config = parse_config(data, where)
    if len(config.diff_ids) != len(image.layer_paths):
        raise ImageError(where, f"it names {len(config.diff_ids)} layers, and the manifest {len(image.layer_paths)}")
    parsed = blobs.layers(image.layer_paths, budget, digests=digests)
    stored = [_verify(index, image, config, layer, blobs, digests=digests) for index, layer in enumerate(parsed)]
    return analyse(
        [layer.content for layer in parsed],
        name=name or image.name or blobs.name,
        config=config,
        digests=stored,
        manifest_digest=image.manifest_digest,
    )


def _verify(index: int, image: _Image, config: ImageConfig, layer: ParsedLayer, blobs: Blobs, *, digests: bool) -> str:
    """Compare what is said of a layer with what it is; give the digest of its blob."""
    path = image.layer_paths[index]
    where = f"layer {index + 1} ({printable(path)}) of {blobs.name}"
    said = [_digest_in(path)]
    if image.manifest:
        descriptor = image.manifest.layers[index]
        said.append(descriptor.digest)
        if descriptor.size_bytes != layer.stored_bytes:
            raise ImageError(
                where, f"it has {layer.stored_bytes:,} bytes, and the manifest says {descriptor.size_bytes:,}"
            )
    diff_id = config.diff_ids[index]
    if digests:
        _compare(layer.diff_id, diff_id, f"{where}, as a tar")
        for each in said:
            _compare(layer.digest, each, where)
    known = [each for each in said if each]
    return known[-1] if known else layer.digest or ("" if layer.compression else diff_id)


def _compare(found: str, said: str, where: str) -> None:
    if said.startswith("sha256:") and found != said:
        raise ImageError(
            where, f"its bytes have the digest {found or '(it cannot be read to its end)'}, and {said} is said of it"
        )


def _digest_in(path: str) -> str:
    """Give the digest that the name of a file is: "blobs/sha256/HEX", "HEX.json"; "" for another name."""
    folder, _, last = path.rpartition("/")
    hexadecimal = last.removesuffix(".json") if not folder else last
    is_name = folder in ("", "blobs/sha256") and len(hexadecimal) == 64 and not hexadecimal.strip("0123456789abcdef")
    return f"sha256:{hexadecimal}" if is_name else ""


def _find_image(blobs: Blobs, name: str | None) -> _Image:
    if "manifest.json" in blobs:
        where = f"manifest.json of {blobs.name}"
        return _add_manifest(blobs, _choose(_read_manifest_json(blobs, where), name, where))
    if "index.json" in blobs:
        where = f"index.json of {blobs.name}"
        found = _read_index(blobs)
        if not found:
            raise ImageError(where, "no image whose manifest is there")
        return _choose([(_for_this_machine(images), names) for images, names in found], name, where)
    raise ImageError(blobs.name, "no image: there is neither a manifest.json nor an index.json")


def _read_manifest_json(blobs: Blobs, where: str) -> list[_Named]:
    """Give the images of Docker's own list, each with its names."""
    found = parse_document(blobs.document("manifest.json"), where)
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
        raise ImageError(where, "no list of images")
    images: dict[_Image, list[str]] = {}
    for each in found:
        tags = each.get("RepoTags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise ImageError(where, "RepoTags is no list of names")
        images.setdefault(_read_entry(each, where), []).extend(tags)
    return list(images.items())


def _read_entry(entry: Mapping[str, Any], where: str) -> _Image:
    config, layers = entry.get("Config"), entry.get("Layers") or []
    if not isinstance(config, str) or not isinstance(layers, list) or not all(isinstance(each, str) for each in layers):
        raise ImageError(where, "an image without the names of its Config and its Layers")
    if len(layers) > MOST_LAYERS:
        raise ImageError(where, f"{len(layers):,} layers; at most {MOST_LAYERS:,} are read")
    try:
        return _Image("", clean(config), tuple(clean(each) for each in layers))
    except ValueError as error:
        raise ImageError(where, str(error)) from None


def _add_manifest(blobs: Blobs, image: _Image) -> _Image:
    """Add the manifest, where the archive is an OCI layout besides."""
    if "index.json" in blobs:
        for images, _ in _read_index(blobs):
            for each in images:
                if (each.config_path, each.layer_paths) == (image.config_path, image.layer_paths):
                    return image._replace(manifest=each.manifest, manifest_digest=each.manifest_digest)
    return image


def _read_index(blobs: Blobs) -> list[tuple[list[_Image], list[str]]]:
    """Give the images of an OCI layout: each for the platforms that are there, with its names."""
    where = f"index.json of {blobs.name}"
    found: dict[str, tuple[list[_Image], list[str]]] = {}
    seen: set[str] = set()
    for descriptor in parse_index(blobs.document("index.json"), where).manifests:
        if descriptor.digest not in found:
            images = list(_read_descriptor(blobs, descriptor, where, (), seen))
            if not images:
                continue
            found[descriptor.digest] = images, []
        notes = descriptor.annotations
        names = [notes[key] for key in _NAMES if key in notes]
        found[descriptor.digest][1].extend(names)
    return list(found.values())


def _read_descriptor(
    blobs: Blobs, descriptor: Descriptor, where: str, above: tuple[str, ...], seen: set[str]
) -> Iterator[_Image]:
    """Give the images that a manifest or an index leads to; what is not there (of other platforms) is passed over."""
    if "vnd.docker.reference.type" in descriptor.annotations or descriptor.platform.startswith("unknown/"):
        return  # an attestation: it says how the image was built
    path = f"blobs/{descriptor.digest.replace(':', '/')}"
    if descriptor.digest in above:
        raise ImageError(where, f"a loop: {descriptor.digest} is an index that leads to itself")
    if len(above) >= _DEEPEST:
        raise ImageError(where, f"indexes in each other, more than {_DEEPEST} deep")
    if descriptor.digest in seen or path not in blobs:
        return
    seen.add(descriptor.digest)
    if len(seen) > _MOST_DOCUMENTS:
        raise ImageError(where, f"more than {_MOST_DOCUMENTS:,} manifests and indexes")
    here = f"{path} of {blobs.name}"
    data = blobs.document(path)
    _compare(digest_of(data), descriptor.digest, here)
    if len(data) != descriptor.size_bytes:
        raise ImageError(here, f"it has {len(data):,} bytes, and {descriptor.size_bytes:,} are said of it in {where}")
    document = parse_document(data, here)
    if isinstance(document, dict) and "manifests" in document:
        for each in parse_index(data, here).manifests:
            yield from _read_descriptor(blobs, each, here, (*above, descriptor.digest), seen)
        return
    manifest = parse_manifest(data, here)
    config, *layers = (f"blobs/{each.digest.replace(':', '/')}" for each in (manifest.config, *manifest.layers))
    yield _Image("", config, tuple(layers), manifest, descriptor.digest, descriptor.platform)


def _for_this_machine(images: Sequence[_Image]) -> _Image:
    """Choose among the platforms of an image: this computer's, or else the first."""
    machine = f"linux/{_MACHINES.get(os.uname().machine, os.uname().machine)}"
    return next((each for each in images if each.platform.startswith(machine)), images[0])


def _choose(images: Sequence[_Named], name: str | None, where: str) -> _Image:
    if name is not None:
        for image, names in images:
            if any(name in (each, each.removesuffix(":latest")) for each in names):
                return image._replace(name=name)
        known = ", ".join(printable(each) for _, names in images[:10] for each in names[:1])
        raise ImageError(where, f"no image {printable(name)} ({known or 'there is one without a name'})")
    if len(images) > 1:
        known = ", ".join(printable(each) for _, names in images[:10] for each in names[:1])
        raise ImageError(where, f"{len(images)} images; say which by its name ({known or 'they have none'})")
    image, names = images[0]
    return image._replace(name=names[0] if names else "")


def _read_some(file: RawIOBase, size: int) -> bytes:
    return file.read(size) or b""


def _watched(read: Callable[[int], bytes], progress: Progress, total_bytes: int) -> Callable[[int], bytes]:
    """Tell `progress` of the bytes that come from `read`."""
    done = 0

    def read_and_tell(size: int) -> bytes:
        nonlocal done
        data = read(size)
        done += len(data)
        progress(done, total_bytes)
        return data

    return read_and_tell


def _budget(progress: Progress | None, total: int) -> Budget:
    return Budget((lambda done: progress(done, total)) if progress else None)


def _no_archive(head: bytes) -> str:
    compression = compression_of(head)
    if compression:
        return f"compressed by {compression}, which labkit does not read: unpack it to a tar first"
    return "no archive of an image: neither a tar nor gzip nor zstd" if head else "an empty file"
