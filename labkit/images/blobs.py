"""Where are the files of an image archive, and how are they read?

Three kinds of places give the same: a tar in a file, read in place; a directory; and a stream (a pipe, a tar that is
compressed as a whole, an engine's answer), which passes once, so that each layer is read as it comes by. What leads out
of the archive is never followed: names are taken by their letters, and in a directory no symlink is.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from labkit.errors import ImageError
from labkit.images.compression import (
    FileReader,
    Part,
    Passing,
    Sequential,
    Watched,
    compression_of,
    open_layer,
)
from labkit.images.content import MOST_ENTRIES, Content
from labkit.images.hashing import Digester, Hashing
from labkit.images.oci import LARGEST_DOCUMENT
from labkit.images.paths import clean, printable
from labkit.images.tar import BLOCK, Entry, Reader, looks_like_tar, walk

__all__ = ["Blobs", "Budget", "DirectoryBlobs", "ParsedLayer", "Place", "StreamBlobs", "TarBlobs", "parse_layer"]

MOST_FILES = 100_000  # in the archive itself, not in its layers
MOST_KEPT = 8 * LARGEST_DOCUMENT  # bytes of documents that are kept of a stream
_MOST_LINKS = 40  # as Linux follows

Place = Callable[[int], str]  # the words for an entry by its number, from 1; for 0 those of the whole layer


class ParsedLayer(NamedTuple):
    """A layer that was read. Digests are "" where none were asked for."""

    content: Content
    compression: str
    diff_id: str  # of its tar
    digest: str  # of the blob as it is stored
    stored_bytes: int


class Budget:
    """How many entries may still be read, and who is told how far we are: `progress(bytes)`."""

    def __init__(self, progress: Callable[[int], None] | None = None) -> None:
        self.entries = MOST_ENTRIES
        self.progress = progress


class Blobs:
    """The files of an archive, by clean names; `name` is that of the archive."""

    def __init__(self, name: str) -> None:
        self.name = printable(name)

    def __contains__(self, path: str) -> bool:
        raise NotImplementedError

    def document(self, path: str) -> bytes:
        """Give a small file; ImageError where it is missing, or larger than a document may be."""
        raise NotImplementedError

    def layers(self, paths: Sequence[str], budget: Budget, *, digests: bool) -> list[ParsedLayer]:
        """Read layers, bottom first; a file that is named twice is read once. ImageError says where."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what is open."""

    def missing(self, path: str) -> ImageError:
        return ImageError(self.name, f"{printable(path)} is named, and is not there")

    def too_large(self, path: str, size_bytes: int) -> ImageError:
        return ImageError(
            f"{printable(path)} of {self.name}",
            f"a document of {size_bytes:,} bytes; at most {LARGEST_DOCUMENT:,} are read",
        )


class _Seekable(Blobs):
    """An archive whose files can be read in any order."""

    def find(self, path: str) -> tuple[FileReader, int, int] | None:
        """Give the open file in which a file of the archive lies, where, and how many bytes."""
        raise NotImplementedError

    def __contains__(self, path: str) -> bool:
        return self.find(path) is not None

    def document(self, path: str) -> bytes:
        found = self.find(path)
        if found is None:
            raise self.missing(path)
        file, offset, size = found
        if size > LARGEST_DOCUMENT:
            raise self.too_large(path, size)
        return file.read_at(offset, size)

    def layers(self, paths: Sequence[str], budget: Budget, *, digests: bool) -> list[ParsedLayer]:
        places = {}
        for path in paths:
            found = self.find(path)
            if found is None:
                raise self.missing(path)
            places[path] = found
        packed = {
            path for path, (file, offset, size) in places.items() if compression_of(file.read_at(offset, min(4, size)))
        }
        plain = [(path, found) for path, found in places.items() if digests and path not in packed]
        parsed: dict[str, ParsedLayer] = {}
        with Hashing(plain, budget.progress) as hashing:
            done = 0
            for index, path in enumerate(paths):
                if path in parsed:
                    continue
                file, offset, size = places[path]
                part: Reader = file.part(offset, size)
                if path in packed and budget.progress:
                    part = Watched(part, budget.progress, done)
                    done += size
                here = _place(index, self.name)
                parsed[path] = parse_layer(part, here, budget, digests=digests and path in packed, layer=index)
            for path, layer in parsed.items():
                if hashing.has(path):
                    digest = hashing.result(path)
                    parsed[path] = layer._replace(diff_id=digest, digest=digest)
        return [parsed[path] for path in paths]


class TarBlobs(_Seekable):
    """A tar in a file."""

    def __init__(self, fd: int, name: str) -> None:
        super().__init__(name)
        self._file = FileReader(fd)
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        for path, entry in _files_of(self._file, self.name, self._links):
            self._files[path] = entry.offset, entry.stored_bytes

    def find(self, path: str) -> tuple[FileReader, int, int] | None:
        found = self._files.get(_follow(path, self._links, self.name))
        return (self._file, *found) if found else None


class DirectoryBlobs(_Seekable):
    """A directory, in which no symlink is followed."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._open: dict[str, FileReader | None] = {}
        self._fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]

    def find(self, path: str) -> tuple[FileReader, int, int] | None:
        if path not in self._open:
            self._open[path] = self._open_file(path)
        file = self._open[path]
        return (file, 0, file.end) if file else None

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def _open_file(self, path: str) -> FileReader | None:
        *parents, name = path.split("/")
        at, passed = self._fds[0], []
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            for parent in parents:
                at = os.open(parent, flags | os.O_DIRECTORY, dir_fd=at)
                passed.append(at)
            fd = os.open(name, flags | os.O_NONBLOCK, dir_fd=at)  # a FIFO would wait for its writer
        except FileNotFoundError:
            return None
        except UnicodeEncodeError:
            return None  # a name that no file can have
        except OSError as error:
            raise ImageError(
                f"{printable(path)} of {self.name}", f"{error.strerror} (no symlink is followed)"
            ) from None
        finally:
            for each in passed:
                os.close(each)
        self._fds.append(fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ImageError(f"{printable(path)} of {self.name}", "no regular file")
        return FileReader(fd)


class StreamBlobs(Blobs):
    """A tar that passes once: documents are kept, and what is a layer by its first bytes is read as it comes by."""

    def __init__(self, reader: Reader, name: str, budget: Budget, *, digests: bool) -> None:
        super().__init__(name)
        self._documents: dict[str, bytes] = {}
        self._layers: dict[str, ParsedLayer] = {}
        self._links: dict[str, str] = {}
        self._large: dict[str, int] = {}
        try:
            self._read(reader, budget, digests)
        except ValueError as error:  # the stream is damaged between two layers
            raise ImageError(self.name, str(error)) from None

    def _read(self, reader: Reader, budget: Budget, digests: bool) -> None:
        kept = 0
        for path, entry in _files_of(reader, self.name, self._links):
            part = Part(reader, entry.offset, entry.stored_bytes)
            head = part.read_at(0, BLOCK)
            if compression_of(head) in ("gzip", "zstd") or looks_like_tar(head):
                self._layers[path] = parse_layer(part, _place_in(path, self.name), budget, digests=digests)
            elif entry.stored_bytes > LARGEST_DOCUMENT:
                self._large[path] = entry.stored_bytes
            else:
                kept += entry.stored_bytes
                if kept > MOST_KEPT:
                    raise ImageError(self.name, f"more than {MOST_KEPT:,} bytes of documents")
                self._documents[path] = part.read_at(0, entry.stored_bytes)
        if isinstance(reader, Sequential):
            reader.finish()  # what follows the tar may be damaged, too

    def __contains__(self, path: str) -> bool:
        path = _follow(path, self._links, self.name)
        return path in self._documents or path in self._layers or path in self._large

    def document(self, path: str) -> bytes:
        path = _follow(path, self._links, self.name)
        if path in self._documents:
            return self._documents[path]
        if path in self._large:
            raise self.too_large(path, self._large[path])
        if path in self._layers:
            raise ImageError(f"{printable(path)} of {self.name}", "a layer, where a document was expected")
        raise self.missing(path)

    def layers(self, paths: Sequence[str], budget: Budget, *, digests: bool) -> list[ParsedLayer]:
        return [self._layer(path) for path in paths]

    def _layer(self, path: str) -> ParsedLayer:
        path = _follow(path, self._links, self.name)
        if path in self._layers:
            return self._layers[path]
        if path not in self:
            raise self.missing(path)
        if self._documents.get(path) == b"":  # a layer of no entries at all
            return ParsedLayer(Content(), "", *(f"sha256:{_NOTHING}",) * 2, 0)
        raise ImageError(f"{printable(path)} of {self.name}", "no layer: neither a tar nor gzip nor zstd")


_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the SHA-256 of no bytes


def parse_layer(reader: Reader, where: Place, budget: Budget, *, digests: bool, layer: int = 0) -> ParsedLayer:
    """Read the entries of a layer; with `digests`, all its bytes, else no more than it takes. ImageError says where.

    `layer` is the index that its nodes name; where it is known only later, `Content.at` makes them anew.
    """
    content = Content(layer)
    digesters: list[Digester] = []
    try:
        compression = compression_of(reader.read_at(0, 4))
        if digests:
            digesters = [Digester(), Digester()] if compression else [Digester()]
            reader = Passing(reader, digesters[-1])
        tar = open_layer(reader, digesters[0] if digesters and compression else None)
        try:
            content.take(walk(tar, where), budget.entries)
        except ValueError as error:
            raise ImageError(where(content.entries), str(error)) from None
        budget.entries -= content.entries + len(content.implied)
        if isinstance(tar, Sequential):
            tar.finish()
        stored = reader.finish() if isinstance(reader, Sequential) else reader.end
        assert stored is not None
    except ValueError as error:
        raise ImageError(where(0), str(error)) from None
    finally:
        found = [each.close() for each in digesters] or [""]
    return ParsedLayer(content, compression, found[0], found[-1], stored)


def _files_of(reader: Reader, name: str, links: dict[str, str]) -> Iterator[tuple[str, Entry]]:
    """Give the regular files of an archive by their clean names; note its links in `links`."""

    def where(number: int) -> str:
        return f"entry {number} of {name}"

    for number, entry in enumerate(map(Entry._make, walk(reader, where)), 1):
        if number > MOST_FILES:
            raise ImageError(where(number), f"more than {MOST_FILES:,} files in an archive of an image")
        if entry.kind == "directory":
            continue
        try:
            path = clean(entry.name)
            links.pop(path, None)
            if entry.kind == "symlink":  # docker save of old engines: a layer that is there twice
                links[path] = clean(f"{path.rpartition('/')[0]}/{entry.target}")
            elif entry.kind == "hardlink":
                links[path] = clean(entry.target)
            elif entry.kind == "file":
                yield path, entry
        except ValueError as error:
            raise ImageError(where(number), str(error)) from None


def _follow(path: str, links: dict[str, str], name: str) -> str:
    for _ in range(_MOST_LINKS):
        if path not in links:
            return path
        path = links[path]
    raise ImageError(f"{printable(path)} of {name}", "a chain of links without an end")


def _place(index: int, name: str) -> Place:
    return lambda number: f"layer {index + 1}, entry {number} of {name}" if number else f"layer {index + 1} of {name}"


def _place_in(path: str, name: str) -> Place:
    path = printable(path)
    return lambda number: f"{path}, entry {number}, of {name}" if number else f"{path} of {name}"
