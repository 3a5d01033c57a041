# A stateful set, since with SQLite no more than one pod may have the database: it never starts a second one before the
# first is known to be gone, which a deployment does when a machine is lost. With PostgreSQL it is as good as another.
resource "kubernetes_stateful_set_v1" "dashboard" {
  metadata {
    name      = var.name
    namespace = local.namespace
    labels    = local.labels
  }
  wait_for_rollout = var.wait_for_rollout

  lifecycle {
    # Not a validation of the variable: in OpenTofu, those see no other one.
    precondition {
      condition     = local.shared || (var.replicas <= 1 && var.autoscaling == null)
      error_message = "More than one pod needs PostgreSQL, with its address in a secret: secret_files = { \"database.url_file\" = … }. SQLite has one writer."
    }
    precondition {
      condition     = !local.shared || length(var.allowed_servers) > 0
      error_message = "allowed_servers must name the PostgreSQL server: without it, the network policy keeps the dashboard from its database."
    }
    precondition {
      condition     = var.allow_mutable_image || local.by_digest
      error_message = "image must be a reference by digest with its registry, like ghcr.io/OWNER/runner-dashboard@sha256:<64 hexadecimal digits>, without a tag. docs/deploying.md says how to find the digest of a release. For a throw-away cluster, allow_mutable_image = true takes any reference."
    }
  }

  spec {
    service_name = kubernetes_service_v1.dashboard.metadata[0].name
    # Where somebody else says how many, every apply would say otherwise.
    replicas = var.autoscaling == null ? var.replicas : null
    # In order, a pod that never gets ready would also hold up the way back to the image before.
    pod_management_policy = "Parallel"

    selector {
      match_labels = local.selector
    }
    update_strategy {
      type = "RollingUpdate"
    }

    template {
      metadata {
        labels      = local.labels
        annotations = { "ec-runner/configuration" = sha256(local.configuration) }
      }

      spec {
        service_account_name             = kubernetes_service_account_v1.dashboard.metadata[0].name
        automount_service_account_token  = false
        enable_service_links             = false
        termination_grace_period_seconds = local.grace + 10
        node_selector                    = var.node_selector
        priority_class_name              = var.priority_class_name

        security_context {
          run_as_non_root        = true
          run_as_user            = local.user
          run_as_group           = local.user
          fs_group               = local.user
          fs_group_change_policy = "OnRootMismatch"
          seccomp_profile {
            type = "RuntimeDefault"
          }
        }

        dynamic "image_pull_secrets" {
          for_each = var.image_pull_secrets
          content {
            name = image_pull_secrets.value
          }
        }

        dynamic "toleration" {
          for_each = var.tolerations
          content {
            key      = toleration.value.key
            operator = toleration.value.operator
            value    = toleration.value.value
            effect   = toleration.value.effect
          }
        }

        # Machines and zones, as far as there are more than one.
        dynamic "topology_spread_constraint" {
          for_each = local.shared ? ["kubernetes.io/hostname", "topology.kubernetes.io/zone"] : []
          content {
            max_skew           = 1
            topology_key       = topology_spread_constraint.value
            when_unsatisfiable = "ScheduleAnyway"
            label_selector {
              match_labels = local.selector
            }
          }
        }

        container {
          name              = "runner-dashboard"
          image             = var.image
          image_pull_policy = var.allow_mutable_image ? "Always" : "IfNotPresent"
          args              = ["serve"]

          # The image sets it, and what is in the environment goes before the file: probes and service rest on it.
          env {
            name  = "RUNNER_DASHBOARD_SERVER_HOST"
            value = local.host
          }

          port {
            name           = "http"
            container_port = local.port
          }

          security_context {
            allow_privilege_escalation = false
            privileged                 = false
            read_only_root_filesystem  = true
            run_as_non_root            = true
            capabilities {
              drop = ["ALL"]
            }
          }

          resources {
            requests = { for name, amount in var.resources.requests : name => amount if amount != null }
            limits   = { for name, amount in var.resources.limits : name => amount if amount != null }
          }

          # The database is migrated before the port opens: ten minutes for a large one.
          startup_probe {
            http_get {
              path = "/healthz"
              port = "http"
            }
            period_seconds    = 2
            timeout_seconds   = 2
            failure_threshold = 300
          }
          liveness_probe {
            http_get {
              path = "/healthz"
              port = "http"
            }
            period_seconds    = 10
            timeout_seconds   = 5
            failure_threshold = 6
          }
          readiness_probe {
            http_get {
              path = "/readyz"
              port = "http"
            }
            period_seconds    = 5
            timeout_seconds   = 5
            failure_threshold = 2
          }

          volume_mount {
            name       = "state"
            mount_path = local.state_directory
          }
          volume_mount {
            name       = "configuration"
            mount_path = local.config_directory
            read_only  = true
          }
          volume_mount {
            name       = "secrets"
            mount_path = local.secrets_directory
            read_only  = true
          }
          volume_mount {
            name       = "temporary"
            mount_path = "/tmp"
          }
        }

        # With PostgreSQL, what is there can be made again.
        volume {
          name = "state"
          dynamic "persistent_volume_claim" {
            for_each = local.shared ? [] : [local.claim]
            content {
              claim_name = persistent_volume_claim.value
            }
          }
          dynamic "empty_dir" {
            for_each = local.shared ? ["1Gi"] : []
            content {
              size_limit = empty_dir.value
            }
          }
        }
        volume {
          name = "configuration"
          config_map {
            name         = kubernetes_config_map_v1.configuration.metadata[0].name
            default_mode = "0444"
          }
        }
        volume {
          name = "secrets"
          projected {
            default_mode = "0440"
            dynamic "sources" {
              for_each = var.secret_files
              content {
                secret {
                  name = sources.value.name
                  items {
                    key  = sources.value.key
                    path = sources.key
                  }
                }
              }
            }
          }
        }
        volume {
          name = "temporary"
          empty_dir {
            size_limit = "64Mi"
          }
        }
      }
    }
  }
}

# Of a lone pod, a budget can only say that nobody moves it.
resource "kubernetes_pod_disruption_budget_v1" "dashboard" {
  count = local.shared || var.hold_drains ? 1 : 0

  metadata {
    name      = var.name
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    max_unavailable = var.hold_drains ? "0" : "1"
    selector {
      match_labels = local.selector
    }
  }
}

resource "kubernetes_horizontal_pod_autoscaler_v2" "dashboard" {
  count = var.autoscaling == null ? 0 : 1

  metadata {
    name      = var.name
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    min_replicas = var.autoscaling.minimum
    max_replicas = var.autoscaling.maximum
    scale_target_ref {
      api_version = "apps/v1"
      kind        = "StatefulSet"
      name        = kubernetes_stateful_set_v1.dashboard.metadata[0].name
    }
    metric {
      type = "Resource"
      resource {
        name = "cpu"
        target {
          type                = "Utilization"
          average_utilization = var.autoscaling.cpu
        }
      }
    }
  }
}
