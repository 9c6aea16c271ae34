"""The engines that run pipelines, and their settings: DirectRunner, Prism, Dataflow."""
