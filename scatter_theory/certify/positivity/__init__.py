"""What it is worth that maps are not negative: certificates for multipliers, and proofs for low-pass profiles."""
