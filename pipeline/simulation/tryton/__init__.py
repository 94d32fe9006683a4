"""The simulated company's orders and receipts in a live Tryton, booked there through its own code.

What runs inside Tryton's environment stands in `programs`; nothing else here imports Tryton.
"""
