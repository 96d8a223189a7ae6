"""Frames as an animated GIF, by Pillow.

All frames share one palette of the most frequent colours, so that a part that doesn't change has the same colours in
every frame.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rasterize import PaintError

COLORS = 255  # of a GIF's 256; Pillow marks unchanged points with the last
EACH = 3  # every third point, in both directions, is counted for the palette
BYTES = 3  # of memory for a point of a frame, measured; Pillow keeps all frames
MAX_BYTES = 500_000_000


def write_gif(pngs: Iterable[bytes], seconds: Sequence[float]) -> bytes:
    """Return an animated GIF, which repeats for ever; equal frames give equal bytes.

    Args:
        pngs: the frames, PNG pictures of one size; they are painted one after the other, if this is an iterator.
        seconds: how long each frame is shown.

    Raises:
        PaintError: if Pillow isn't installed.
        ValueError: if the frames need too much memory.
    """
    image = _pillow()
    kept = []
    for png in pngs:
        kept.append(png)
        if len(kept) == 1:
            _check_memory(image.open(io.BytesIO(png)).size, len(seconds))
    frames = _indexed(image, kept)
    file = io.BytesIO()
    next(frames).save(file, "GIF", save_all=True, append_images=frames, loop=0,
                      duration=[round(100 * length) * 10 for length in seconds])  # a GIF counts hundredths
    return file.getvalue()


def _check_memory(size: tuple[int, int], frames: int) -> None:
    width, height = size
    needed = BYTES * width * height * frames
    if needed > MAX_BYTES:
        raise ValueError(f"{frames} frames of {width} × {height} pixels need {needed / 1e6:,.0f} MB, more than "
                         f"{MAX_BYTES / 1e6:,.0f}: make fewer frames, every=..., or smaller ones, dpi=...")


def _pillow() -> Any:
    """Return Pillow's module `Image`."""
    try:
        from PIL import Image
    except ImportError:
        raise PaintError("Pillow writes GIFs, and it isn't installed here: pip install pillow. The frames can be "
                         "written without it: the name bptt.png gives bptt-01.png, bptt-02.png, ...") from None
    return Image


def _indexed(image: Any, pngs: Sequence[bytes]) -> Iterator[Any]:
    """Yield the frames in the colours of the palette, each point in the nearest one."""
    counts: Counter[int] = Counter()
    occurs = np.zeros(2 ** 24, bool)
    for png in pngs:
        points = _points(image, png)
        occurs[points] = True
        colors, numbers = np.unique(points[::EACH, ::EACH], return_counts=True)
        counts.update(dict(zip(colors.tolist(), numbers.tolist())))
    frequent = sorted(counts, key=lambda color: (-counts[color], color))
    palette = _channels(np.array(frequent[:COLORS]))
    nearest = np.zeros(2 ** 24, np.uint8)  # for every colour that occurs, the number of a colour of the palette
    for color in np.flatnonzero(occurs)[:, None]:
        nearest[color] = ((palette - _channels(color)) ** 2).sum(axis=1).argmin()
    for png in pngs:
        frame = image.fromarray(nearest[_points(image, png)])
        frame.putpalette(palette.astype(np.uint8).tobytes())
        yield frame


def _points(image: Any, png: bytes) -> NDArray[np.int32]:
    """Return the colours of a picture's points, each as one number: (height, width)."""
    points = np.asarray(image.open(io.BytesIO(png)).convert("RGB"), np.int32)
    packed: NDArray[np.int32] = points[..., 0] << 16 | points[..., 1] << 8 | points[..., 2]
    return packed


def _channels(colors: NDArray[Any]) -> NDArray[Any]:
    """Return the red, green and blue of colours that are one number each: (number, 3)."""
    return np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1)
