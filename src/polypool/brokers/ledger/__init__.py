"""The ledger as engines keep it whose arithmetic runs here rather than in the server: all but Redis."""
