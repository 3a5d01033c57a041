module "runner_dashboard" {
  source = "../../modules/runner-dashboard"

  image               = var.image
  allow_mutable_image = var.allow_mutable_image
  name                = var.name
  namespace           = var.namespace
  create_namespace    = var.create_namespace
  labels              = var.labels
  public_url          = var.public_url
  secret_files        = var.secret_files
  image_pull_secrets  = var.image_pull_secrets
  replicas            = var.replicas
  autoscaling         = var.autoscaling
  hold_drains         = var.hold_drains
  storage             = var.storage
  resources           = var.resources
  ingress             = var.ingress
  allowed_clients     = var.allowed_clients
  allowed_servers     = var.allowed_servers
  metrics             = var.metrics
  node_selector       = var.node_selector
  tolerations         = var.tolerations
  priority_class_name = var.priority_class_name
  wait_for_rollout    = var.wait_for_rollout
  settings            = var.settings
}
