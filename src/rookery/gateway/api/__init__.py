"""The routes for programs, under `/v1`; the routes for people are in `pages/`."""
