"""Datasets: contents to be rendered and styles to be learnt, from a card or a plain folder.

A card is a TOML file in `datasets/` that names a dataset, its licence and, as far as it needs to,
its clips with their recordings and texts. A folder laid out as `content/<category>/<clip>` and
`style/<style>/<clip>` is a dataset too; `timbre` is read as `style`. Its clips are wav,
aiff, flac, ogg, opus or mp3 files of 1 to 768 kHz, of half a second or longer; other sound beside
them (m4a and the like) is named as skipped. If the folder contains a file `dataset.toml`, that is
its card. Names are UTF-8, and the same in either form of their accented letters.

**Recordings**: clips that were cut from one recording must not lie on both sides of a split. A card
says which they are with `recording`; for a fetched dataset `manifest.json` says it. In a plain
folder nothing is known: "bell1" and "bell2" may be two pieces of one recording or two bells. There
each file counts as a recording of its own. Write a card if that is wrong.

**Texts**: the text of a style comes from its card, else from `style/<style>/text.txt`, else from
the name of its folder in words ("church_bell": "church bell"). `text.txt` is UTF-8, or UTF-16 with
its mark; its words are put into one line.

**True results**: a card may say which content is what another should become in a style
(`bench.data.targets`); `changed/<change>/<clip>` then holds contents with wrong notes and the like.

**Unusable clips**: a content that is broken or too short is an error. A clip of a style that is
silent, broken or too short is left out of what is learnt and scored with, and is named.

**Conventions**: times are in seconds. When a dataset is loaded, each file is hashed and its samples
are counted; the sound is kept only when a clip is asked for.
"""
