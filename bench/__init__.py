"""Measurements of the project by itself: how true its findings are, and how fast it comes to them.

What a measurement needs and no company does lives here. The pipeline never imports it.
"""
