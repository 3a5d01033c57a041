# Written by `python -m tests.tofu.reference`: the module's variables, which it also judges.

variable "kubeconfig" {
  description = "Path of the kubeconfig file. Without it, the provider looks at its own variables (`KUBE_CONFIG_PATH`, `KUBE_HOST`, `KUBE_TOKEN` …)."
  type        = string
  default     = null
}

variable "kubeconfig_context" {
  description = "Context in that file; its current one when not given."
  type        = string
  default     = null
}

variable "image" {
  description = "What is installed: a reference by digest, `ghcr.io/<owner>/runner-dashboard@sha256:…`. A tag is refused, also beside a digest: it can mean something else tomorrow."
  type        = string
  nullable    = false
}

variable "allow_mutable_image" {
  description = "Take an `image` that is no reference by digest. What runs can then change without a plan, and is pulled at every start: for throw-away clusters alone."
  type        = bool
  default     = false
  nullable    = false
}

variable "name" {
  description = "What every object is called."
  type        = string
  default     = "runner-dashboard"
  nullable    = false
}

variable "namespace" {
  description = "Where every object is."
  type        = string
  default     = "runner-dashboard"
  nullable    = false
}

variable "create_namespace" {
  description = "Whether the namespace is made, with the Pod Security Standard `restricted` enforced. Off, it must be there."
  type        = bool
  default     = true
  nullable    = false
}

variable "labels" {
  description = "Labels that every object gets besides its own."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "public_url" {
  description = "What browsers and nodes call it: `https://` and a host name. The ingress serves this host, and cookies are for it alone."
  type        = string
  nullable    = false
}

variable "secret_files" {
  description = "The keys of dashboard.toml that name a file, and for each the secret, with its key, that is mounted there. They must be there already and are never read by this module: what a plan knows stands in its state. `identity.bootstrap_token_file` must be among them, or the first administrator's token would be printed into the cluster's logs; `runner-dashboard token generate` makes such a token."
  type = map(object({
    name = string
    key  = optional(string, "token")
  }))
  nullable = false
}

variable "image_pull_secrets" {
  description = "Names of secrets with which the image is pulled; they must be there already."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "replicas" {
  description = "How many pods. With SQLite, which has one writer, 1, or 0 while a backup is put back; with PostgreSQL (`database.url_file` in `secret_files`) any number. Not looked at where `autoscaling` says it."
  type        = number
  default     = 1
  nullable    = false
}

variable "autoscaling" {
  description = "With PostgreSQL: between how many pods, and at which use of the requested CPU, in percent, their number is kept. `null`: it is `replicas`."
  type = object({
    minimum = optional(number, 2)
    maximum = optional(number, 6)
    cpu     = optional(number, 70)
  })
  default = null
}

variable "hold_drains" {
  description = "Whether a drain of a pod's machine waits until somebody moves the dashboard. Off, a lone pod is moved and away for the time of a start, while nodes keep their reports; of several, one is moved at a time."
  type        = bool
  default     = false
  nullable    = false
}

variable "storage" {
  description = "With SQLite, the volume with the database: local or block storage, never a network file system. `existing_claim` names a claim that was made elsewhere; the rest is then not looked at. Sizes grow in place where the class allows it; the rest of a claim cannot be changed."
  type = object({
    size           = optional(string, "20Gi")
    class_name     = optional(string)
    access_mode    = optional(string, "ReadWriteOncePod")
    existing_claim = optional(string)
  })
  default  = {}
  nullable = false
}

variable "resources" {
  description = "What the container may use. Memory holds the bodies of reports that arrive (`settings.ingest.in_flight`), besides the program itself. Without `limits.cpu` it is not throttled while it flushes."
  type = object({
    requests = optional(object({ cpu = optional(string, "100m"), memory = optional(string, "256Mi") }), {})
    limits   = optional(object({ cpu = optional(string), memory = optional(string, "1Gi") }), {})
  })
  default  = {}
  nullable = false
}

variable "ingress" {
  description = "How the world comes in: the class, the namespace and labels of the controller's pods (the only ones that the network policy lets in), the secret with the certificate (by default the name with `-tls`), and, for cert-manager to make it, a cluster issuer. `null`: no ingress; say in `allowed_clients` what stands in front."
  type = object({
    class_name      = optional(string, "nginx")
    namespace       = optional(string, "ingress-nginx")
    pod_labels      = optional(map(string), {})
    tls_secret_name = optional(string)
    cluster_issuer  = optional(string)
    annotations     = optional(map(string), {})
  })
  default = {}
}

variable "allowed_clients" {
  description = "Who besides the ingress controller may reach the port: pods by the name of their namespace and their labels."
  type = list(object({
    namespace  = string
    pod_labels = optional(map(string), {})
  }))
  default  = []
  nullable = false
}

variable "allowed_servers" {
  description = "Whom the dashboard may connect to, each by addresses (`cidr`) or by a namespace and labels of pods, with ports. With one, it may also ask for names (port 53). None: nothing goes out."
  type = list(object({
    cidr       = optional(string)
    namespace  = optional(string)
    pod_labels = optional(map(string), {})
    ports      = list(number)
  }))
  default  = []
  nullable = false
}

variable "metrics" {
  description = "For the Prometheus operator: a ServiceMonitor, alert rules (`rules`) and a way in for Prometheus. `token_secret` names a secret, in the dashboard's namespace, with a token of the scope `metrics`. `null`: none. The cluster must know both kinds when it is planned."
  type = object({
    namespace    = string
    pod_labels   = optional(map(string), {})
    token_secret = object({ name = string, key = optional(string, "token") })
    labels       = optional(map(string), {})
    interval     = optional(string, "60s")
    rules        = optional(bool, true)
  })
  default = null
}

variable "node_selector" {
  description = "Labels of the machines on which the pod may run."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "tolerations" {
  description = "Taints that the pod tolerates."
  type = list(object({
    key      = optional(string)
    operator = optional(string, "Equal")
    value    = optional(string)
    effect   = optional(string)
  }))
  default  = []
  nullable = false
}

variable "priority_class_name" {
  description = "The pod's priority class; the cluster's default when not given."
  type        = string
  default     = null
}

variable "wait_for_rollout" {
  description = "Whether an apply ends only when the pod is ready."
  type        = bool
  default     = true
  nullable    = false
}

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
