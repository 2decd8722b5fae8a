"""Documents cut into chunks along their structure."""
