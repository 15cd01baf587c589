"""The leaderboard: runs of one setting, published or local, as one page that can be sorted."""
