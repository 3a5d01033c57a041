"""Taking reports from nodes: docs/report-api.md, from the side that receives."""
