locals {
  grace        = coalesce(var.settings.server.grace, 20)
  max_envelope = coalesce(var.settings.ingest.max_envelope, 64)

  # What must be so for the rest of this module to hold.
  own = {
    server = { host = local.host, port = local.port, public_url = var.public_url, grace = local.grace }
    ingest = { max_envelope = local.max_envelope }
  }
  files = { for name in keys(var.secret_files) : name => "${local.secrets_directory}/${name}" }
  tables = {
    for table, keys in var.settings : table => merge(
      keys,
      try(local.own[table], {}),
      { for name, file in local.files : split(".", name)[1] => file if split(".", name)[0] == table },
    )
  }

  # Strings, numbers and truth values are spelled in TOML as they are in JSON.
  configuration = join("\n", concat(
    ["schema = \"ec-runner.dashboard.v1\"", "state_dir = ${jsonencode(local.state_directory)}"],
    flatten([
      for table, keys in local.tables : concat(["", "[${table}]"], [
        for key, value in keys : "${key} = ${jsonencode(value)}" if value != null
      ])
    ]),
    [""],
  ))
}

resource "kubernetes_config_map_v1" "configuration" {
  metadata {
    name      = var.name
    namespace = local.namespace
    labels    = local.labels
  }
  data = { "dashboard.toml" = local.configuration }

  lifecycle {
    precondition {
      condition     = length(setsubtract(keys(var.secret_files), local.secret_keys)) == 0
      error_message = "secret_files has a key that is none of dashboard.toml, or names no file: ${join(", ", setsubtract(keys(var.secret_files), local.secret_keys))}."
    }
  }
}
