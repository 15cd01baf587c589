"""Wheels made here, so that an environment can be locked and built without a network."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path


def tiny_wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """A wheel of one module of the same name."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source.encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    return _write(folder / f"{name}-{version}-py3-none-any.whl", files, f"{info}/RECORD")


def installed_wheel(folder: Path, name: str) -> Path:
    """The wheel that an installed package came from, as far as it is a package."""
    found = distribution(name)
    inside = [file for file in found.files or [] if ".." not in file.parts]
    kept = [file for file in inside if file.suffix != ".pyc" and "tests" not in file.parts]
    files = {str(file): Path(str(found.locate_file(file))).read_bytes() for file in kept}
    wheel = next(file for file in kept if file.name == "WHEEL")
    tags = [line[5:] for line in wheel.read_text().splitlines() if line.startswith("Tag: ")]
    record = str(wheel.with_name("RECORD"))
    return _write(folder / f"{name}-{found.version}-{tags[0]}.whl", files, record)


def _write(path: Path, files: Mapping[str, bytes], record: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if name != record:
                archive.writestr(name, content)
        archive.writestr(record, "".join(f"{name},,\n" for name in (*files, record)))
    return path
