"""Measures of colours, written from their definitions: contrast, differences, and how the colour-blind see them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

# Machado, Oliveira and Fernandes, A physiologically-based model for simulation of color vision deficiency (IEEE TVCG
# 2009), severity 1.0, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                        [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                        [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                        [0.004733, 0.691367, 0.303900]]),
}


def linear(color: str) -> Any:
    """Return linear red, green and blue of "#RRGGBB" (IEC 61966-2-1)."""
    channels = np.array([int(color[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 … 21 (WCAG 2.2, relative luminance and contrast ratio)."""
    darker, lighter = sorted(float(linear(color) @ (0.2126, 0.7152, 0.0722)) for color in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def lab(rgb: Any) -> Any:
    """Return CIELAB coordinates of linear RGB; white point D65."""
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                       [0.0193339, 0.1191920, 0.9503041]])
    ratios = (to_xyz @ np.clip(rgb, 0, 1)) / (0.95047, 1.0, 1.08883)
    x, y, z = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def lightness(color: str) -> float:
    """Return L*, 0 … 100: what grey print keeps of a colour."""
    return float(lab(linear(color))[0])


def difference(one: Any, other: Any) -> float:
    """Return the colour difference CIEDE2000 of two CIELAB colours.

    Sharma, Wu and Dalal, The CIEDE2000 color-difference formula: implementation notes (Color Res. Appl. 2005).
    """
    (L1, a1, b1), (L2, a2, b2) = one, other
    C = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    G = 0.5 * (1 - np.sqrt(C ** 7 / (C ** 7 + 25.0 ** 7)))
    a1, a2 = (1 + G) * a1, (1 + G) * a2
    C1, C2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    turn = 0.0 if C1 * C2 == 0 else (h2 - h1 + 180) % 360 - 180
    dH = 2 * np.sqrt(C1 * C2) * np.sin(np.radians(turn) / 2)
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    h = h1 + h2 if C1 * C2 == 0 else (h1 + turn / 2) % 360
    T = (1 - 0.17 * np.cos(np.radians(h - 30)) + 0.24 * np.cos(np.radians(2 * h))
         + 0.32 * np.cos(np.radians(3 * h + 6)) - 0.20 * np.cos(np.radians(4 * h - 63)))
    S_L = 1 + 0.015 * (L - 50) ** 2 / np.sqrt(20 + (L - 50) ** 2)
    S_C, S_H = 1 + 0.045 * C, 1 + 0.015 * C * T
    R_C = 2 * np.sqrt(C ** 7 / (C ** 7 + 25.0 ** 7))
    R_T = -np.sin(np.radians(60 * np.exp(-((h - 275) / 25) ** 2))) * R_C
    light, chroma, hue = (L2 - L1) / S_L, (C2 - C1) / S_C, dH / S_H
    return float(np.sqrt(light ** 2 + chroma ** 2 + hue ** 2 + R_T * chroma * hue))


def least_difference(colors: Sequence[str]) -> tuple[float, str, str, str]:
    """Return the smallest difference of two colours for any kind of vision, which it is, and the two."""
    return min((difference(lab(matrix @ linear(one)), lab(matrix @ linear(other))), vision, one, other)
               for vision, matrix in VISIONS.items() for one, other in combinations(colors, 2))
