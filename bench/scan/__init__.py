"""The scan pipeline under load: Locust users, a provider with limits, polypool or Celery between them."""
