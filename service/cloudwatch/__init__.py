"""The service in CloudWatch: its metrics, and the dashboard and alarms made for them."""
