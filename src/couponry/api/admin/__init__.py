"""The admin API: what marketers, support and operators do, for clients with the admin scope."""
