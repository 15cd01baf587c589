"""`gate`, `baseline` and `history`: whether results became worse."""
