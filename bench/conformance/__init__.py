"""`check`: whether a method or metric keeps the contract."""
