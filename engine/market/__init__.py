"""Markets: calendars, feeds, recorded files, books, volume curves and fees."""
