"""Outputs that were made elsewhere: `outputs:FOLDER` in a list of methods.

**Layout**: `<style>/<content>.<suffix>`, where style and content are the names of the data set and
the suffix is any that is read; repetition n, counted from 0, is `<style>/<content>.<n>.<suffix>`,
and the first needs no number. A content whose name holds a `/` lies in a folder of its own. Or the
folder holds `outputs.csv` with the columns style, content, repetition and path; then files may be
called anything. Hidden files and files that are no sound are left alone.

What a run plans and the folder lacks is `n/a` ("not delivered"); a file that is broken or has
another length is an `invalid_output`, as with any method. Links are refused: what is scored lies in
the folder. The digests of the files are the identity of the method, so that a changed file is read
and scored anew.
"""
