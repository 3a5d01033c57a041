# Several dashboards behind one PostgreSQL.

mock_provider "kubernetes" {}

variables {
  image      = "ghcr.io/example/runner-dashboard@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  public_url = "https://dashboard.example.org"
  secret_files = {
    "identity.bootstrap_token_file" = { name = "dashboard-bootstrap" }
    "database.url_file"             = { name = "dashboard-database", key = "url" }
  }
  allowed_servers = [{ namespace = "database", pod_labels = { app = "postgres" }, ports = [5432] }]
}

run "several_pods_keep_nothing_themselves" {
  command = plan
  variables {
    replicas = 3
  }

  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].replicas == "3"
    error_message = "there are not three"
  }
  assert {
    condition     = length(kubernetes_persistent_volume_claim_v1.state) == 0 && output.claim == null
    error_message = "a volume is made that nobody writes to"
  }
  assert {
    condition     = alltrue([for volume in kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].volume : length(volume.persistent_volume_claim) == 0])
    error_message = "a claim is mounted that is not there"
  }
}

run "they_are_spread_and_moved_one_at_a_time" {
  command = plan
  variables {
    replicas = 3
  }

  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].topology_spread_constraint[*].topology_key == tolist(["kubernetes.io/hostname", "topology.kubernetes.io/zone"])
    error_message = "one machine may have them all"
  }
  assert {
    condition     = kubernetes_pod_disruption_budget_v1.dashboard[0].spec[0].max_unavailable == "1"
    error_message = "a drain may take them all"
  }
}

run "the_address_of_the_database_is_a_file" {
  command = plan

  assert {
    condition     = strcontains(output.configuration, "url_file = \"/run/secrets/runner-dashboard/database.url_file\"")
    error_message = "the application is not told"
  }
}

run "their_number_is_kept_by_load" {
  command = plan
  variables {
    autoscaling = { maximum = 4 }
  }

  assert {
    condition     = kubernetes_horizontal_pod_autoscaler_v2.dashboard[0].spec[0].min_replicas == 2 && kubernetes_horizontal_pod_autoscaler_v2.dashboard[0].spec[0].max_replicas == 4
    error_message = "the bounds are others"
  }
  assert {
    condition     = kubernetes_horizontal_pod_autoscaler_v2.dashboard[0].spec[0].scale_target_ref[0].kind == "StatefulSet"
    error_message = "something else is scaled"
  }
}

run "bounds_that_cross_are_refused" {
  command = plan
  variables {
    autoscaling = { minimum = 5, maximum = 4 }
  }
  expect_failures = [var.autoscaling]
}

run "a_database_that_cannot_be_reached_is_refused" {
  command = plan
  variables {
    allowed_servers = []
  }
  expect_failures = [kubernetes_stateful_set_v1.dashboard]
}
