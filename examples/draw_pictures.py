"""Draw the pictures that the documentation shows of the examples: python -m examples.draw_pictures [NAME ...].

Each example is run in full, from its default seed. The picture that its docstring names (Picture: loss.png) is made
small and stored in examples/pictures/TOPIC/, under the example's name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from PIL import Image

from examples import index

MOST_BYTES = 60_000
WIDTHS = (1200, 900, 700)  # pixels; narrower, and of fewer colours, until the file is small
COLORS = (256, 128, 64, 32, 16)


class PictureError(Exception):
    """An example failed, or drew no picture that can be stored."""


def drawn(example: index.Example, folder: Path) -> Path:
    """Run an example, and return the picture that it drew for the documentation."""
    command = [sys.executable, "-m", "examples", example.name, "--out", str(folder)]
    if subprocess.run(command, cwd=index.FOLDER.parent, stdout=subprocess.DEVNULL, check=False).returncode:
        raise PictureError(f"{example.name} failed: {' '.join(command[1:4])}")
    found = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    if not example.picture or not (folder / example.picture).is_file():
        named = f"names {example.picture}" if example.picture else "names no picture"
        raise PictureError(f"{example.name} drew {found}; its docstring {named}: write Picture: FILE. before Time:")
    return folder / example.picture


def store(picture: Path, target: Path) -> None:
    """Write a copy of at most MOST_BYTES: a PNG with fewer pixels and colours, an SVG as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if picture.suffix == ".svg":
        shutil.copyfile(picture, target)
    else:
        with Image.open(picture) as image:
            reduce(image, target)
    if target.stat().st_size > MOST_BYTES:
        target.unlink()
        raise PictureError(f"{picture.name} has more than {MOST_BYTES} bytes")


def reduce(image: Image.Image, target: Path) -> None:
    """Write a PNG on white, as wide and with as many colours as MOST_BYTES allow."""
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    for width, colors in product(WIDTHS, COLORS):
        image.thumbnail((width, image.height), Image.Resampling.LANCZOS)
        image.quantize(colors, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= MOST_BYTES:
            return


def main(names: Sequence[str]) -> int:
    """Draw the pictures of the named examples, or of all; report those that failed."""
    examples = {example.name: example for example in index.examples()}
    if unknown := set(names) - set(examples):
        print(f"draw_pictures: there is no example {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    failed = 0
    for name in names or examples:
        target = examples[name].stored
        try:
            with tempfile.TemporaryDirectory() as folder:
                store(drawn(examples[name], Path(folder)), target)
            print(f"{target.relative_to(index.FOLDER)}: {target.stat().st_size} bytes", flush=True)
        except PictureError as error:
            failed += 1
            print(f"draw_pictures: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
