"""What may leave: the policy, the table of controls, the gate, the safety monitors and the kill switch."""
