"""The contact's door: pages where people confirm, change, pause or withdraw. Its pages come with the consent centre."""
