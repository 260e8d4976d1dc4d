"""The reference platform: its definitions, jobs and schedules."""
