"""The routes for people, with their templates; the routes for programs are in `api/`."""
