"""The words of the hub: types, errors, settings. No framework."""
