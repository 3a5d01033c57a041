locals {
  ingress_clients = var.ingress == null ? [] : [{ namespace = var.ingress.namespace, pod_labels = var.ingress.pod_labels }]
  metrics_clients = var.metrics == null ? [] : [{ namespace = var.metrics.namespace, pod_labels = var.metrics.pod_labels }]
  clients         = concat(local.ingress_clients, local.metrics_clients, var.allowed_clients)

  # An envelope is larger than what ingress-nginx takes by default.
  ingress_annotations = var.ingress == null ? {} : merge(
    var.ingress.class_name == "nginx" ? { "nginx.ingress.kubernetes.io/proxy-body-size" = "${local.max_envelope}m" } : {},
    var.ingress.cluster_issuer == null ? {} : { "cert-manager.io/cluster-issuer" = var.ingress.cluster_issuer },
    var.ingress.annotations,
  )
}

resource "kubernetes_service_v1" "dashboard" {
  metadata {
    name      = var.name
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    type     = "ClusterIP"
    selector = local.selector
    port {
      name        = "http"
      port        = 80
      target_port = "http"
    }
  }
}

resource "kubernetes_ingress_v1" "dashboard" {
  count = var.ingress == null ? 0 : 1

  metadata {
    name        = var.name
    namespace   = local.namespace
    labels      = local.labels
    annotations = local.ingress_annotations
  }
  spec {
    ingress_class_name = var.ingress.class_name
    tls {
      hosts       = [local.domain]
      secret_name = coalesce(var.ingress.tls_secret_name, "${var.name}-tls")
    }
    rule {
      host = local.domain
      http {
        path {
          path      = "/"
          path_type = "Prefix"
          backend {
            service {
              name = kubernetes_service_v1.dashboard.metadata[0].name
              port {
                name = "http"
              }
            }
          }
        }
      }
    }
  }
}

# In and out: who is named.
resource "kubernetes_network_policy_v1" "dashboard" {
  metadata {
    name      = var.name
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    pod_selector {
      match_labels = local.selector
    }
    policy_types = ["Ingress", "Egress"]

    dynamic "ingress" {
      for_each = local.clients
      content {
        from {
          namespace_selector {
            match_labels = { "kubernetes.io/metadata.name" = ingress.value.namespace }
          }
          pod_selector {
            match_labels = ingress.value.pod_labels
          }
        }
        ports {
          port     = "http"
          protocol = "TCP"
        }
      }
    }

    dynamic "egress" {
      for_each = var.allowed_servers
      content {
        to {
          dynamic "ip_block" {
            for_each = egress.value.cidr == null ? [] : [egress.value.cidr]
            content {
              cidr = ip_block.value
            }
          }
          dynamic "namespace_selector" {
            for_each = egress.value.namespace == null ? [] : [egress.value.namespace]
            content {
              match_labels = { "kubernetes.io/metadata.name" = namespace_selector.value }
            }
          }
          dynamic "pod_selector" {
            for_each = egress.value.namespace == null ? [] : [egress.value.pod_labels]
            content {
              match_labels = pod_selector.value
            }
          }
        }
        dynamic "ports" {
          for_each = egress.value.ports
          content {
            port     = ports.value
            protocol = "TCP"
          }
        }
      }
    }

    dynamic "egress" {
      for_each = length(var.allowed_servers) == 0 ? [] : ["names"]
      content {
        to {
          namespace_selector {
            match_labels = { "kubernetes.io/metadata.name" = "kube-system" }
          }
        }
        dynamic "ports" {
          for_each = ["UDP", "TCP"]
          content {
            port     = 53
            protocol = ports.value
          }
        }
      }
    }
  }
}
