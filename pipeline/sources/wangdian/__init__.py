"""旺店通 企业版: orders, shipments and refunds through its open interface.

Its field names stand in sources.yml; here is only how it is asked.
"""
