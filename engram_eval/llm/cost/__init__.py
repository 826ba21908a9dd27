"""Prices, budgets and metering."""
