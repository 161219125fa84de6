"""The ledger: commands in, answers out once they are committed. The only place that joins load, decide and apply."""

from couponry.ledger.ledger import Ledger, LedgerOptions

__all__ = ["Ledger", "LedgerOptions"]
