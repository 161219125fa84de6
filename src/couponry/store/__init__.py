"""The only SQL: schema, dialects, and the reads and writes of a batch."""
