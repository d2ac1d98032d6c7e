"""Alarms and the dashboard. Failover depends on neither."""
