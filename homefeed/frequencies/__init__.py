"""How often a pin is among a batch's candidates: what logits are corrected for."""
