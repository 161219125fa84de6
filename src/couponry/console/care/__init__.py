"""Member Care: find anything a caller can name, see what became of it, and put it right."""
