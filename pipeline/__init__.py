"""Bihuan: from the systems of a company to a verified verdict per business line."""
