# What is taken for an image, and what is refused.

mock_provider "kubernetes" {}

variables {
  image        = "ghcr.io/example/runner-dashboard@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  public_url   = "https://dashboard.example.org"
  secret_files = { "identity.bootstrap_token_file" = { name = "dashboard-bootstrap" } }
}

run "a_reference_by_digest_is_installed_as_it_is" {
  command = plan

  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].container[0].image == var.image
    error_message = "the container's image is not what was given"
  }
  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].container[0].image_pull_policy == "IfNotPresent"
    error_message = "a digest need not be pulled twice"
  }
}

run "a_registry_with_a_port_is_taken" {
  command = plan
  variables {
    image = "registry:5000/fleet/runner-dashboard@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}

run "a_tag_is_refused" {
  command = plan
  variables {
    image = "ghcr.io/example/runner-dashboard:latest"
  }
  expect_failures = [kubernetes_stateful_set_v1.dashboard]
}

run "a_tag_beside_a_digest_is_refused" {
  command = plan
  variables {
    image = "ghcr.io/example/runner-dashboard:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  expect_failures = [kubernetes_stateful_set_v1.dashboard]
}

run "an_image_without_a_registry_is_refused" {
  command = plan
  variables {
    image = "runner-dashboard@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  expect_failures = [kubernetes_stateful_set_v1.dashboard]
}

run "a_short_digest_is_refused" {
  command = plan
  variables {
    image = "ghcr.io/example/runner-dashboard@sha256:0123456789abcdef"
  }
  expect_failures = [kubernetes_stateful_set_v1.dashboard]
}

run "nothing_is_no_image_even_where_tags_are_taken" {
  command = plan
  variables {
    image               = ""
    allow_mutable_image = true
  }
  expect_failures = [var.image]
}

run "a_tag_that_is_asked_for_is_pulled_every_time" {
  command = plan
  variables {
    image               = "ghcr.io/example/runner-dashboard:edge"
    allow_mutable_image = true
  }

  assert {
    condition     = kubernetes_stateful_set_v1.dashboard.spec[0].template[0].spec[0].container[0].image_pull_policy == "Always"
    error_message = "what a tag means is asked at every start"
  }
}
