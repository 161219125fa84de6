"""The console: Campaign Manager and Member Care, pages rendered on the server."""
