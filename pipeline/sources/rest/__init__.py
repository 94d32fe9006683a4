"""Any JSON API that sources.yml describes: lists of objects, paged, by day or by change."""
