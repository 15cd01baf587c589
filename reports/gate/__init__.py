"""The regression gate as people and machines read it: terminal, CI pages, dashboards, history."""
