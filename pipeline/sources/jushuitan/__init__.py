"""聚水潭: orders, payments, shipments and refunds through its open platform.

Its field names stand in sources.yml; here is only how it is asked.
"""
