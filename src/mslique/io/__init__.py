"""Files of others: what is read of them, what they may do, and what the user is told."""
