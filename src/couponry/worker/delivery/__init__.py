"""Delivers what was sequenced: events to webhooks, messages to customers and contacts (events 2, 5)."""
