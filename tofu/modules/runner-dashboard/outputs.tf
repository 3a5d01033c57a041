output "image" {
  description = "The reference that is installed."
  value       = var.image
}

output "url" {
  description = "Where people and nodes find it."
  value       = var.public_url
}

output "namespace" {
  description = "Where every object is."
  value       = local.namespace
}

output "stateful_set" {
  description = "The stateful set's name; its pod is called so, with `-0`."
  value       = kubernetes_stateful_set_v1.dashboard.metadata[0].name
}

output "service" {
  description = "Name and port of the service."
  value       = { name = kubernetes_service_v1.dashboard.metadata[0].name, port = 80 }
}

output "service_account" {
  description = "The service account, which has no rights."
  value       = kubernetes_service_account_v1.dashboard.metadata[0].name
}

output "claim" {
  description = "The claim of the volume with the database; null with PostgreSQL."
  value       = local.claim
}

output "configuration" {
  description = "The dashboard.toml that is mounted."
  value       = local.configuration
}

output "selector" {
  description = "Labels of the pod, for policies that are made elsewhere."
  value       = local.selector
}
