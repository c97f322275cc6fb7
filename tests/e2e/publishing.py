"""What `func azure functionapp publish` would upload: the files that .funcignore leaves."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pathspec


def published_files(root: Path) -> Iterator[Path]:
    """The files to upload, as paths below ``root``."""
    ignored = pathspec.GitIgnoreSpec.from_lines(
        (root / ".funcignore").read_text(encoding="utf-8").splitlines()
    )

    def below(directory: Path) -> Iterator[Path]:
        for path in sorted(directory.iterdir()):
            relative = path.relative_to(root)
            if ignored.match_file(f"{relative.as_posix()}/" if path.is_dir() else relative.as_posix()):
                continue
            if path.is_dir():
                yield from below(path)
            else:
                yield relative

    return below(root)


def publish(root: Path, target: Path) -> list[str]:
    """Copy the files to upload to ``target``; their names come back."""
    names = []
    for relative in published_files(root):
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / relative, target / relative)
        names.append(relative.as_posix())
    return names
