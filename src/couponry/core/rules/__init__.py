"""One guard per rule of the contract, in the contract's order."""
