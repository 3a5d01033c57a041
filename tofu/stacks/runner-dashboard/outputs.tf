output "image" {
  description = "The reference that is installed."
  value       = module.runner_dashboard.image
}

output "url" {
  description = "Where people and nodes find it."
  value       = module.runner_dashboard.url
}

output "namespace" {
  description = "Where every object is."
  value       = module.runner_dashboard.namespace
}

output "stateful_set" {
  description = "The stateful set's name; its pod is called so, with `-0`."
  value       = module.runner_dashboard.stateful_set
}
