# Who comes in, and that nothing goes out.

mock_provider "kubernetes" {}

variables {
  image        = "ghcr.io/example/runner-dashboard@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  public_url   = "https://dashboard.example.org"
  secret_files = { "identity.bootstrap_token_file" = { name = "dashboard-bootstrap" } }
}

run "only_the_ingress_controller_comes_in" {
  command = plan

  assert {
    condition     = kubernetes_network_policy_v1.dashboard.spec[0].policy_types == tolist(["Ingress", "Egress"])
    error_message = "one of the directions is open"
  }
  assert {
    condition     = length(kubernetes_network_policy_v1.dashboard.spec[0].egress) == 0
    error_message = "something goes out"
  }
  assert {
    condition = [
      for rule in kubernetes_network_policy_v1.dashboard.spec[0].ingress : rule.from[0].namespace_selector[0].match_labels
    ] == [tomap({ "kubernetes.io/metadata.name" = "ingress-nginx" })]
    error_message = "somebody else comes in"
  }
}

run "the_ingress_speaks_tls_for_the_host_of_the_address" {
  command = plan
  variables {
    ingress = { cluster_issuer = "letsencrypt" }
  }

  assert {
    condition     = kubernetes_ingress_v1.dashboard[0].spec[0].tls[0].hosts == tolist(["dashboard.example.org"]) && kubernetes_ingress_v1.dashboard[0].spec[0].tls[0].secret_name == "runner-dashboard-tls"
    error_message = "the host is served without a certificate"
  }
  assert {
    condition     = kubernetes_ingress_v1.dashboard[0].spec[0].rule[0].host == "dashboard.example.org"
    error_message = "another host is served"
  }
  assert {
    condition     = kubernetes_ingress_v1.dashboard[0].metadata[0].annotations["cert-manager.io/cluster-issuer"] == "letsencrypt"
    error_message = "nobody makes the certificate"
  }
}

run "the_ingress_takes_the_largest_report" {
  command = plan
  variables {
    settings = { ingest = { max_envelope = 32 } }
  }

  assert {
    condition     = kubernetes_ingress_v1.dashboard[0].metadata[0].annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "32m"
    error_message = "reports that the dashboard takes are refused before it"
  }
}

run "what_it_may_reach_is_named" {
  command = plan
  variables {
    allowed_servers = [
      { cidr = "192.0.2.7/32", ports = [443] },
      { namespace = "database", pod_labels = { app = "postgres" }, ports = [5432] },
    ]
  }

  assert {
    condition     = length(kubernetes_network_policy_v1.dashboard.spec[0].egress) == 3
    error_message = "the two, and names"
  }
  assert {
    condition     = kubernetes_network_policy_v1.dashboard.spec[0].egress[0].to[0].ip_block[0].cidr == "192.0.2.7/32" && length(kubernetes_network_policy_v1.dashboard.spec[0].egress[0].to[0].namespace_selector) == 0
    error_message = "addresses are not what was named"
  }
  assert {
    condition     = kubernetes_network_policy_v1.dashboard.spec[0].egress[1].to[0].pod_selector[0].match_labels == tomap({ app = "postgres" }) && kubernetes_network_policy_v1.dashboard.spec[0].egress[1].ports[0].port == "5432"
    error_message = "pods are not what was named"
  }
  assert {
    condition     = [for port in kubernetes_network_policy_v1.dashboard.spec[0].egress[2].ports : port.port] == ["53", "53"]
    error_message = "names cannot be asked for"
  }
}

run "a_server_that_is_everybody_is_refused" {
  command = plan
  variables {
    allowed_servers = [{ ports = [443] }]
  }
  expect_failures = [var.allowed_servers]
}

run "without_an_ingress_nobody_comes_in" {
  command = plan
  variables {
    ingress = null
  }

  assert {
    condition     = length(kubernetes_ingress_v1.dashboard) == 0 && length(kubernetes_network_policy_v1.dashboard.spec[0].ingress) == 0
    error_message = "somebody comes in"
  }
}

run "prometheus_comes_in_with_a_token" {
  command = plan
  variables {
    metrics = { namespace = "monitoring", token_secret = { name = "dashboard-metrics" }, labels = { release = "prometheus" } }
  }

  assert {
    condition     = length(kubernetes_network_policy_v1.dashboard.spec[0].ingress) == 2
    error_message = "Prometheus is kept out"
  }
  assert {
    condition     = kubernetes_manifest.service_monitor[0].manifest.spec.endpoints[0].authorization.credentials.name == "dashboard-metrics"
    error_message = "it has no token"
  }
  assert {
    condition     = length(kubernetes_manifest.rules[0].manifest.spec.groups) == 2
    error_message = "there are no alerts"
  }
  assert {
    condition     = kubernetes_manifest.service_monitor[0].manifest.metadata.labels.release == "prometheus"
    error_message = "the operator does not find the monitor"
  }
}

run "alerts_can_be_somebody_elses" {
  command = plan
  variables {
    metrics = { namespace = "monitoring", token_secret = { name = "dashboard-metrics" }, rules = false }
  }

  assert {
    condition     = length(kubernetes_manifest.rules) == 0 && length(kubernetes_manifest.service_monitor) == 1
    error_message = "rules come that were not asked for"
  }
}

run "an_address_in_the_clear_is_refused" {
  command = plan
  variables {
    public_url = "http://dashboard.example.org"
  }
  expect_failures = [var.public_url]
}

run "an_address_with_a_path_is_refused" {
  command = plan
  variables {
    public_url = "https://dashboard.example.org/"
  }
  expect_failures = [var.public_url]
}

run "a_token_in_the_place_of_a_name_is_refused" {
  command = plan
  variables {
    secret_files = { "identity.bootstrap_token_file" = { name = "ecd_0123456789abcdef_0123456789012345678901234567890123456789012" } }
  }
  expect_failures = [var.secret_files]
}
