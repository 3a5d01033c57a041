# A claim of its own, not a template of the stateful set: it can grow in place, and it is not deleted with anything else.
resource "kubernetes_persistent_volume_claim_v1" "state" {
  count = local.shared || var.storage.existing_claim != null ? 0 : 1

  metadata {
    name      = "${var.name}-state"
    namespace = local.namespace
    labels    = local.labels
  }
  spec {
    access_modes       = [var.storage.access_mode]
    storage_class_name = var.storage.class_name
    resources {
      requests = { storage = var.storage.size }
    }
  }
  # Many classes bind when the first pod comes: waiting here would be waiting for what comes later.
  wait_until_bound = false

  lifecycle {
    # Evidence. docs/deploying.md says how to take the dashboard away for good.
    prevent_destroy = true
  }
}
