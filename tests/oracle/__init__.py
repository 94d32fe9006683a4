"""An independent reading of what the marts must say, and companies to try it on.

Nothing here imports the pipeline's transformations: agreement is worth something only between
two readings that never saw each other.
"""
