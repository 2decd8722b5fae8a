"""Quality of a text: what is measured of it. The rules are in :mod:`..cleaning`."""
