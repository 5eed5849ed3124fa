"""The engines that run table expressions, chosen here and nowhere else.

Everything else is Ibis expressions, which say what a table is and not who computes it.
"""

from homefeed.engine.engine import Engine
from homefeed.engine.open import ENGINE_VARIABLE, open_engine

__all__ = ["ENGINE_VARIABLE", "Engine", "open_engine"]
