"""The JSON API of people's work, a router for each subject."""
