"""Blind listening tests: what is played, the page, the ratings, and what they say.

`design` chooses the sets, `export` writes the test, `ratings` reads what listeners downloaded, and
`tables` puts their answers beside the scores.
"""
