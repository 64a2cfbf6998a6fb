"""The words of the hub: types, errors, settings. No I/O and no framework."""
