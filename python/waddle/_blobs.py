"""Artifacts' bytes: files under ``.waddle/blobs``, named by their SHA-256."""

from __future__ import annotations

import errno
import os
import stat

from ._identity import random_name
from ._values import clean_text, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple, Union

#: The largest file that ``inline=True`` keeps in the journal, in bytes.
MAX_INLINE = 65_536

CHUNK = 1 << 20

#: Content types that are known without the system's tables, which are slow to load.
MIME = {
    ".bin": "application/octet-stream", ".csv": "text/csv", ".gif": "image/gif", ".html": "text/html",
    ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".json": "application/json", ".jsonl": "application/jsonl",
    ".md": "text/markdown", ".mp3": "audio/mpeg", ".mp4": "video/mp4", ".pdf": "application/pdf", ".png": "image/png",
    ".svg": "image/svg+xml", ".tsv": "text/tab-separated-values", ".txt": "text/plain", ".wav": "audio/wav",
    ".webp": "image/webp", ".yaml": "application/yaml", ".yml": "application/yaml", ".zip": "application/zip",
}  # fmt: skip


def keep(waddle: str, path: Any, inline: bool) -> Dict[str, Any]:
    """
    Keeps the file or folder at `path` in the store of the ``.waddle`` folder `waddle`, and returns the fields of its
    ``artifact`` event. Raises OSError, and ValueError for what is neither a file nor a folder.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        return _keep_folder(waddle, os.fsdecode(path))
    if not stat.S_ISREG(mode):
        raise ValueError("%r is neither a file nor a folder" % (path,))
    mime = MIME.get(os.path.splitext(os.fsdecode(path))[1].lower())
    with open(path, "rb") as file:
        if inline:
            data = file.read(MAX_INLINE + 1)
            if len(data) <= MAX_INLINE:
                return _inlined(data, mime)
            file.seek(0)
        sha256, size = _store(waddle, lambda: file.read(CHUNK))
    return {"type": "file", "sha256": sha256, "size": size, "mime": mime}


def _inlined(data: bytes, mime: Any) -> Dict[str, Any]:
    import base64
    import hashlib

    return {
        "type": "file",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "mime": mime,
        "inline": base64.b64encode(data).decode(),
    }


def _keep_folder(waddle: str, folder: str) -> Dict[str, Any]:
    """Each file of a folder (links are followed; what is no file is left out), and a manifest of them."""
    entries: List[Dict[str, Any]] = []
    for path in _files(folder, ()):
        with open(os.path.join(folder, path), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            sha256, size = _store(waddle, lambda file=file: file.read(CHUNK))  # type: ignore[misc]
        entries.append({"path": clean_text(path), "size": size, "sha256": sha256, "mode": mode})
    entries.sort(key=lambda entry: str(entry["path"]))
    manifest = [to_json(entries)]
    sha256, _ = _store(waddle, lambda: manifest.pop() if manifest else b"")
    return {
        "type": "folder",
        "sha256": sha256,
        "size": sum(entry["size"] for entry in entries),
        "files": len(entries),
    }


def _files(folder: str, above: Tuple[str, ...], prefix: str = "") -> List[str]:
    """The paths of the files below `folder`, relative, with `/`; a link back to a folder above is not followed."""
    paths: List[str] = []
    real = os.path.realpath(os.path.join(folder, prefix))
    if real in above:
        return paths
    with os.scandir(os.path.join(folder, prefix)) as entries:
        for entry in entries:
            path = prefix + entry.name
            if entry.is_dir():
                paths.extend(_files(folder, (*above, real), path + "/"))
            elif entry.is_file():
                paths.append(path)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise FileNotFoundError(errno.ENOENT, "a link to nothing", entry.path)
    return paths


def _store(waddle: str, read: Callable[[], bytes]) -> Tuple[str, int]:
    """
    Copies what `read` gives, until it gives nothing, to its place; returns its SHA-256 and size in bytes.

    It is hashed as it is copied, so that a file that changes meanwhile is still kept under the hash of what was kept.
    """
    import hashlib

    root = os.path.join(waddle, "blobs", "sha256")
    os.makedirs(root, exist_ok=True)
    temporary = os.path.join(root, ".new-" + random_name(12))
    digest = hashlib.sha256()
    size = 0
    try:
        with open(temporary, "xb", buffering=0) as copy:
            while True:
                chunk = read()
                if not chunk:
                    break
                digest.update(chunk)
                size += len(chunk)
                rest = memoryview(chunk)
                while len(rest):
                    rest = rest[copy.write(rest) or 0 :]
            sha256 = digest.hexdigest()
            place = os.path.join(root, sha256[:2], sha256)
            if _size_of(place) == size and _renew(place):
                os.unlink(temporary)
                return sha256, size
            os.fsync(copy.fileno())
        os.chmod(temporary, 0o444)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.replace(temporary, place)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise
    return sha256, size


def _renew(path: str) -> bool:
    """
    Gives bytes that are found again today's date, since ``waddle gc`` lets go of none that was asked for lately.
    False where that failed (they are gone, or another user's): then they are written anew.
    """
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _size_of(path: str) -> Union[int, None]:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
