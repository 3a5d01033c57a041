"""What monitoring is given besides `/metrics`: alert rules for Prometheus and a dashboard for Grafana, as files.

`python -m runner_dashboard.ops.monitoring app/monitoring` writes them. Families and what is said of them come from the
page that `/metrics` answers: a panel of a metric that is not there is not written.
"""
