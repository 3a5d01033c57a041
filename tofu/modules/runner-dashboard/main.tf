locals {
  # Facts of the image: app/Dockerfile and the application's configuration say the same.
  port              = 8080
  user              = 10001
  state_directory   = "/var/lib/runner-dashboard"
  config_directory  = "/etc/runner-dashboard"
  secrets_directory = "/run/secrets/runner-dashboard"
  host              = "0.0.0.0"

  # With PostgreSQL, dashboards share a database and keep nothing themselves.
  shared = contains(keys(var.secret_files), "database.url_file")

  # Names are known when all is planned; references make the order.
  namespace = var.create_namespace ? kubernetes_namespace_v1.dashboard[0].metadata[0].name : var.namespace
  claim     = local.shared ? null : coalesce(var.storage.existing_claim, one(kubernetes_persistent_volume_claim_v1.state[*].metadata[0].name))
  domain    = trimprefix(var.public_url, "https://")

  # A registry, a name in it, and a digest. Without a registry, it would be up to whoever pulls.
  by_digest = can(regex(
    "^([a-z0-9-]+(\\.[a-z0-9-]+)+(:[0-9]{1,5})?|[a-z0-9-]+:[0-9]{1,5}|localhost)(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)+@sha256:[0-9a-f]{64}$",
    var.image
  ))

  selector = {
    "app.kubernetes.io/name"     = "runner-dashboard"
    "app.kubernetes.io/instance" = var.name
  }
  labels = merge(var.labels, local.selector, { "app.kubernetes.io/part-of" = "ec-runner" })
}

resource "kubernetes_namespace_v1" "dashboard" {
  count = var.create_namespace ? 1 : 0

  metadata {
    name = var.namespace
    labels = merge(local.labels, {
      "pod-security.kubernetes.io/enforce" = "restricted"
      "pod-security.kubernetes.io/audit"   = "restricted"
      "pod-security.kubernetes.io/warn"    = "restricted"
    })
  }
}

# It has no role, here or in the cluster, and its token is mounted nowhere: the dashboard asks Kubernetes nothing.
resource "kubernetes_service_account_v1" "dashboard" {
  metadata {
    name      = var.name
    namespace = local.namespace
    labels    = local.labels
  }
  automount_service_account_token = false
}
