"""Files that are changed while somebody watches them."""

import os
from pathlib import Path


def rewrite(path: Path, content: bytes | str) -> None:
    """The whole at once, as whoever renews files does: nobody reads half of it."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.chmod(path.stat().st_mode if path.exists() else 0o600)
    os.replace(new, path)
