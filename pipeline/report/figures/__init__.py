"""The figures of the report as numbers: whatever a mark shows is a field of one of these classes.

Geometry does not belong here, nor does SQL.
"""
