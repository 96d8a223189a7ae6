"""Machine code is kept between runs of these tests, in a folder of pytest's cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache_folder(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIGRAD_CACHE", str(request.config.cache.mkdir("loops")))  # type: ignore[union-attr]
        yield
