"""The door: commands in, pictures and events out."""

from engine.api.engine import Engine, EngineParts

__all__ = ["Engine", "EngineParts"]
