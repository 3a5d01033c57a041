# Written by `python -m tests.tofu.reference` from the application's configuration.

variable "settings" {
  description = "Keys of dashboard.toml, as docs/dashboard.md lists them; what is not given keeps its default. What names a file is in `secret_files`; host, port, address, state directory and database are this module's to set."
  type = object({
    server = optional(object({
      grace = optional(number)
    }), {})
    database = optional(object({
      migrate = optional(bool)
    }), {})
    ingest = optional(object({
      max_envelope       = optional(number)
      in_flight          = optional(number)
      deadline           = optional(number)
      reports_per_minute = optional(number)
      burst              = optional(number)
      nonce_lifetime     = optional(number)
      pending            = optional(number)
    }), {})
    identity = optional(object({
      session_lifetime = optional(number)
    }), {})
    sign_in = optional(object({
      kind         = optional(string)
      name         = optional(string)
      issuer       = optional(string)
      client_id    = optional(string)
      login_claim  = optional(string)
      groups_claim = optional(string)
      scopes       = optional(list(string))
      admins       = optional(list(string))
      operators    = optional(list(string))
      viewers      = optional(list(string))
    }), {})
    proxy = optional(object({
      networks      = optional(list(string))
      user_header   = optional(string)
      groups_header = optional(string)
      admins        = optional(list(string))
      operators     = optional(list(string))
      viewers       = optional(list(string))
    }), {})
    fleet = optional(object({
      silent_after = optional(number)
    }), {})
    releases = optional(object({
      metadata_url = optional(string)
      target_url   = optional(string)
    }), {})
    forgejo = optional(object({
      url   = optional(string)
      scope = optional(string)
    }), {})
    github = optional(object({
      url   = optional(string)
      scope = optional(string)
    }), {})
    gitlab = optional(object({
      url   = optional(string)
      scope = optional(string)
    }), {})
    notify = optional(object({
      url   = optional(string)
      kinds = optional(list(string))
    }), {})
    retention = optional(object({
      reports  = optional(number)
      evidence = optional(number)
      findings = optional(number)
      audit    = optional(number)
      every    = optional(number)
    }), {})
    log = optional(object({
      form  = optional(string)
      level = optional(string)
    }), {})
  })
  default  = {}
  nullable = false
}

locals {
  # What names a file.
  secret_keys = [
    "database.url_file",
    "identity.bootstrap_token_file",
    "sign_in.client_secret_file",
    "releases.root_file",
    "forgejo.token_file",
    "github.token_file",
    "gitlab.token_file",
    "notify.secret_file",
  ]
}
