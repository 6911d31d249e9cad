"""Delta-rule layers: linear recurrent networks that correct what their state recalls."""
