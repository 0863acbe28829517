"""The statements written down are those that the definitions of the tables make."""

import re

from engine.store import statements, tables


def one_line(words: str) -> str:
    return re.sub(r"(?<=\() | (?=[),])", "", " ".join(words.split()))


def test_the_statements_are_those_of_the_definitions() -> None:
    """If this fails, a table was changed in one of the two places only: bring `statements` to what is expected here."""
    for on_server in (False, True):
        made = tuple(one_line(words) for words in tables.defined_statements(on_server=on_server))
        assert statements.create_statements(on_server=on_server) == made


def test_the_columns_and_keys_are_those_of_the_definitions() -> None:
    defined = {name: tables.table(name) for name in statements.PROJECTIONS}
    columns = {name: tuple(table.columns.keys()) for name, table in defined.items()}
    keys = {name: tuple(table.primary_key.columns.keys()) for name, table in defined.items()}
    assert columns == statements.COLUMNS
    assert keys == statements.KEYS
