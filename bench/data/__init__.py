"""Datasets: contents to be rendered and styles to be learnt, from a card or a plain folder.

A card is a TOML file in `datasets/` that names the clips of a dataset with their licence,
recordings and descriptions. Any folder laid out as `content/<category>/<clip>` and
`style/<style>/<clip>` (wav, flac, ogg, mp3; any rate; mono or stereo; half a second or longer) is
a dataset too; `timbre` is read as `style`. A file `dataset.toml` in it is its card.

**Recordings**: clips cut from one recording must not be on both sides of a split. A card says so
with `recording`. In a plain
folder nothing is known: "bell1" and "bell2" may be two pieces of one recording or two bells. There
each file counts as a recording of its own; write a card where that is wrong.

**Texts**: a style's text comes from its card, else from `style/<style>/text.txt`, else from the
folder's name in words ("church_bell": "church bell"); `StyleSource.text_source` records which.

**Conventions**: times in seconds. Sound is read only when a clip is asked for; at loading each
file is hashed and its head is checked.
"""
