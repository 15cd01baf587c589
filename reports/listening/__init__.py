"""Blind listening tests: what they play, the page for listeners, the ratings, and the results.

`design` chooses the sets, `export` writes the test, `ratings` reads what listeners downloaded, and
`tables` puts their answers beside the scores.
"""
