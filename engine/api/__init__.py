"""The door: commands in, pictures and events out."""

from engine.api.engine import Engine
from engine.api.parts import EngineParts

__all__ = ["Engine", "EngineParts"]
