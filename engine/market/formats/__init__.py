"""Layouts of recorded market files, told apart by their header line; :mod:`engine.market.formats.known` lists them."""
