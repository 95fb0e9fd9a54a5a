"""Two small data sets with known faults, planted on the spot: no download, nothing of Django."""
