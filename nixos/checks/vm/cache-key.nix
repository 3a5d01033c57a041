# The key of a binary cache that exists for the minutes of a test. It is public on purpose: trust it nowhere.
{
  secret = "vm-test-1:D7I1duoU3dzgzY/z6lieol6y8A37l98tPwX5E0U0oEhDHxA/qsiO0m0a4h3EKIE8KFlce1Z0vhJzb4WnE4ZrMQ==";
  public = "vm-test-1:Qx8QP6rIjtJtGuIdxCiBPChZXHtWdL4Sc2+FpxOGazE=";
}
