# Annotations that ask to be scraped cannot carry the token that /metrics wants.
resource "kubernetes_manifest" "service_monitor" {
  count = var.metrics == null ? 0 : 1

  manifest = {
    apiVersion = "monitoring.coreos.com/v1"
    kind       = "ServiceMonitor"
    metadata = {
      name      = var.name
      namespace = local.namespace
      labels    = merge(local.labels, var.metrics.labels)
    }
    spec = {
      selector = { matchLabels = local.selector }
      endpoints = [{
        port     = "http"
        path     = "/metrics"
        interval = var.metrics.interval
        authorization = {
          type        = "Bearer"
          credentials = { name = var.metrics.token_secret.name, key = var.metrics.token_secret.key }
        }
      }]
    }
  }
}

resource "kubernetes_manifest" "rules" {
  count = try(var.metrics.rules, false) ? 1 : 0

  manifest = {
    apiVersion = "monitoring.coreos.com/v1"
    kind       = "PrometheusRule"
    metadata = {
      name      = var.name
      namespace = local.namespace
      labels    = merge(local.labels, var.metrics.labels)
    }
    spec = yamldecode(file("${path.module}/alerts.yaml"))
  }
}
