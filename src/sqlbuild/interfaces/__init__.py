"""What can be swapped: small Protocols. Every implementation passes the contract suite in tests/contract."""
