"""What runs a stage under Prefect: the runner, the run, the home, deployments."""
