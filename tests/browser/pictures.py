"""The pictures in the README, and a hash of the page that they show."""

import hashlib

from stack import ROOT

PICTURES = [ROOT / "docs" / f"phone-{scheme}.png" for scheme in ("light", "dark")]
PAGE = [ROOT / "local" / "page" / name for name in ("index.html", "page.css", "page.js")]
RECORD = ROOT / "docs" / "phone.sha256"
"""The file with the hash of the page that the pictures show."""


def hash_of_page() -> str:
    """Hash the files of the page."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in PAGE)).hexdigest()
