"""The views of the page: each in a module of its own here, and one of the same name in site/views."""

from __future__ import annotations

from .pictures import Pictures
from .steps import Steps
from .view import View

VIEWS: dict[str, type[View]] = {"pictures": Pictures, "steps": Steps}
