"""Campaign Manager: campaigns listed, in a calendar and one by one, and the guided way to a new one."""
