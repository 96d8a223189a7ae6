"""The views of the page: each in a module of its own here, and one of the same name in site/views."""

from __future__ import annotations

from .gradients import Gradients
from .pictures import Pictures
from .steps import Steps
from .training import Training
from .view import View

VIEWS: dict[str, type[View]] = {"pictures": Pictures, "gradients": Gradients, "steps": Steps, "training": Training}
