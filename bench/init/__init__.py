"""`init`: the files that another repository needs to use the bench."""
