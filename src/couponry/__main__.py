"""`python -m couponry` is `couponry`."""

from couponry.cli import app

app()
