"""State-space layers: a linear system as a differential equation, recurrence and convolution."""
