"""`judge`: what a metric hears, measured on clips whose truth is known.

A dataset in which each piece is played by several instruments (`bench.data.targets`) knows which of
two clips have the same notes and which the same timbre. So any metric can be asked whether it tells
right notes from wrong ones, right timbre from wrong, and what it prefers when they disagree. The
answer is a card (`bench.records.judge_cards`): no claim that a column of a table measures content
or style is earned without one.
"""
