"""The tests of Bolt: a folder per package, and tests about the project itself."""
