"""A listening test of one question on a scale of 0 to 100, with webMUSHRA's own anchors.

How well the content is kept is asked as ITU-R BS.1534-3 asks for quality: the content is the
reference, and among the outputs stand the same reference, hidden, and two anchors, the reference
through a low-pass of 3.5 and of 7 kHz. webMUSHRA hides the reference and makes the anchors.

`export` writes the test, `marks` reads what webMUSHRA collected, `screening` says who is left out,
and `table` shows the marks. They never stand in one table with marks of 1 to 5.
"""
