# The pod: what it may do, how it is watched, how it ends.

mock_provider "kubernetes" {}

variables {
  image        = "ghcr.io/example/runner-dashboard@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  public_url   = "https://dashboard.example.org"
  secret_files = { "identity.bootstrap_token_file" = { name = "dashboard-bootstrap", key = "first" } }
}

run "the_pod_has_no_rights" {
  command = plan

  assert {
    condition     = kubernetes_namespace_v1.dashboard[0].metadata[0].labels["pod-security.kubernetes.io/enforce"] == "restricted"
    error_message = "the namespace does not enforce the restricted standard"
  }
  assert {
    condition     = kubernetes_service_account_v1.dashboard.automount_service_account_token == false
    error_message = "the account's token would be mounted"
  }
  assert {
    condition = alltrue([
      for pod in [kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0]] :
      !pod.automount_service_account_token && !pod.enable_service_links
      && pod.security_context[0].run_as_non_root && pod.security_context[0].run_as_user == "10001"
      && pod.security_context[0].seccomp_profile[0].type == "RuntimeDefault"
    ])
    error_message = "the pod may do more than it needs"
  }
  assert {
    condition = alltrue([
      for context in [kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].container[0].security_context[0]] :
      !context.allow_privilege_escalation && !context.privileged && context.read_only_root_filesystem
      && context.run_as_non_root && tolist(context.capabilities[0].drop) == tolist(["ALL"])
    ])
    error_message = "the container may do more than it needs"
  }
}

run "the_token_is_a_file_and_never_a_variable" {
  command = plan

  assert {
    condition = anytrue([
      for volume in kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].volume :
      volume.projected[0].sources[0].secret[0].name == "dashboard-bootstrap" && volume.projected[0].sources[0].secret[0].items[0].key == "first"
      if volume.name == "secrets"
    ])
    error_message = "the secret that was named is not mounted"
  }
  assert {
    condition     = [for variable in kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].container[0].env : variable.name] == ["RUNNER_DASHBOARD_SERVER_HOST"]
    error_message = "the environment holds more than the address"
  }
}

run "the_application_is_told_where_the_token_is" {
  command = plan

  assert {
    condition     = strcontains(output.configuration, "bootstrap_token_file = \"/run/secrets/runner-dashboard/identity.bootstrap_token_file\"")
    error_message = "the first token would be printed into logs"
  }
}

run "without_a_first_token_nothing_is_installed" {
  command = plan
  variables {
    secret_files = {}
  }
  expect_failures = [var.secret_files]
}

run "a_key_that_names_no_secret_is_refused" {
  command = plan
  variables {
    secret_files = {
      "identity.bootstrap_token_file" = { name = "dashboard-bootstrap" }
      "server.public_url"             = { name = "dashboard-bootstrap" }
    }
  }
  expect_failures = [kubernetes_config_map_v1.configuration]
}

run "a_stop_gets_more_time_than_the_application_takes" {
  command = plan
  variables {
    settings = { server = { grace = 45 } }
  }

  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].termination_grace_period_seconds == 55
    error_message = "the pod is killed while it finishes requests"
  }
  assert {
    condition     = strcontains(output.configuration, "grace = 45")
    error_message = "the application is not told"
  }
}

run "another_configuration_is_another_pod" {
  command = plan
  variables {
    settings = { fleet = { silent_after = 3600 } }
  }

  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].template[0].metadata[0].annotations["ec-runner/configuration"] == sha256(kubernetes_config_map_v1.configuration.data["dashboard.toml"])
    error_message = "a pod would keep the configuration that it began with"
  }
}

run "two_pods_are_refused_with_sqlite" {
  command = plan
  variables {
    replicas = 2
  }
  expect_failures = [kubernetes_stateful_set_v1.dashboard]
}

run "autoscaling_is_refused_with_sqlite" {
  command = plan
  variables {
    autoscaling = {}
  }
  expect_failures = [kubernetes_stateful_set_v1.dashboard]
}

run "half_a_pod_is_refused" {
  command = plan
  variables {
    replicas = 0.5
  }
  expect_failures = [var.replicas]
}

run "it_can_be_stopped" {
  command = plan
  variables {
    replicas = 0
  }

  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].replicas == "0"
    error_message = "a backup cannot be put back"
  }
}

run "drains_are_not_held_unless_asked" {
  command = plan

  assert {
    condition     = length(kubernetes_pod_disruption_budget_v1.dashboard) == 0
    error_message = "a budget that nobody asked for holds up every upgrade of the cluster"
  }
}

run "drains_are_held" {
  command = plan
  variables {
    hold_drains = true
  }

  assert {
    condition     = kubernetes_pod_disruption_budget_v1.dashboard[0].spec[0].max_unavailable == "0"
    error_message = "the budget allows what was to be held"
  }
}

run "a_claim_that_is_there_is_used" {
  command = plan
  variables {
    storage = { existing_claim = "from-before" }
  }

  assert {
    condition     = length(kubernetes_persistent_volume_claim_v1.state) == 0 && output.claim == "from-before"
    error_message = "another claim was made"
  }
}

run "a_volume_for_many_is_refused" {
  command = plan
  variables {
    storage = { access_mode = "ReadWriteMany" }
  }
  expect_failures = [var.storage]
}

run "a_namespace_that_is_there_is_used" {
  command = plan
  variables {
    create_namespace = false
    namespace        = "monitoring"
  }

  assert {
    condition     = length(kubernetes_namespace_v1.dashboard) == 0 && kubernetes_stateful_set_v1.dashboard.metadata[0].namespace == "monitoring"
    error_message = "another namespace was made"
  }
}
