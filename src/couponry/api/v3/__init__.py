"""v3 endpoints beside the token's: webhooks, and the log of what they were sent (events 3 and 4)."""
