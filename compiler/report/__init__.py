"""What an artifact costs and loses, for people: summary, report.html, Chrome trace."""
