"""Edge to the DNS: audits of the sending domains. Comes with the deliverability work; nothing uses it yet."""
