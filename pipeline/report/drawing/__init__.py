"""The charts of the report: each module turns one figure into one SVG, for paper or for a phone.

Marks bear the marts' numbers as `data-*` attributes. What a number means does not belong here.
"""
