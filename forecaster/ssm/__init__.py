"""State-space layers: one linear system read as a differential equation, a recurrence and a
convolution.
"""
