"""How good a ranking is: datasets, judgements, measures, intervals, published figures, reports.

The protocol is the one the remote sensing literature uses (recall at K in both
directions, mR), with what it usually leaves open decided and printed: ties,
repeated captions, coverage, splits, leaks.
"""
