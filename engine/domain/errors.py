"""Every exception of ours, as one tree.

Expected failures (a denial, a reject, a timeout) are values, never exceptions. What stands here is raised
for wrong input at a border, for a store that cannot be trusted, and for broken invariants::

    BoltError
    ├── InputError          a person or a file gave something that cannot be read
    │   ├── MoneyError      a price, quantity or amount that is not an exact finite decimal
    │   ├── InstrumentError an instrument that is unknown, unsupported or ill defined
    │   ├── PolicyError     policy.yaml is missing, malformed or incomplete
    │   ├── DataError       a market data file is wrong, cut or unsorted
    │   └── SettingsError   settings, command line or environment cannot be used
    ├── StoreError          the ledger cannot be opened, read or written
    │   ├── StoreLocked     another engine holds this ledger
    │   ├── StoreCorrupt    the chain or the file does not verify
    │   ├── StoreVersion    written by another schema version
    │   └── StoreUnwritable disk full, read-only or an fsync error
    ├── VenueError          a broker session could not be opened or used
    └── InvariantError      impossible state: the engine stops before the next order
"""

from __future__ import annotations


class BoltError(Exception):
    """Root of every exception raised by Bolt."""


class InputError(BoltError):
    """A value that a person or a file gave cannot be used; the text names it, the rule and the next step."""


class MoneyError(InputError):
    """A price, quantity or amount is not an exact, finite decimal."""


class InstrumentError(InputError):
    """An instrument is unknown, of an unsupported kind, or ill defined."""


class PolicyError(InputError):
    """The policy file cannot be used as a whole."""


class DataError(InputError):
    """A market data file is wrong, cut or unsorted; the text names the row."""


class SettingsError(InputError):
    """Settings, command line or environment cannot be used."""


class StoreError(BoltError):
    """The ledger cannot be opened, read or written. No order leaves while this stands."""


class StoreLocked(StoreError):
    """Another engine holds the kernel lock of this ledger, or a reader blocked a write for too long."""


class StoreCorrupt(StoreError):
    """The file, a row or the hash chain does not verify."""


class StoreVersion(StoreError):
    """The ledger was written by a schema this build does not know."""


class StoreUnwritable(StoreError):
    """A write or fsync failed. It is never retried: after a failed fsync the page cache cannot be trusted."""


class VenueError(BoltError):
    """A broker session could not be opened, or broke while it was used."""


class VenueRefused(VenueError):
    """The venue heard what was asked and did not do it."""


class InvariantError(BoltError):
    """Something impossible happened. The engine stops before the next order."""
