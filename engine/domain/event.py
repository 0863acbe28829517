"""The base of all journaled events; the events themselves stand in :mod:`engine.domain.events`."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """Base of all journaled events."""
