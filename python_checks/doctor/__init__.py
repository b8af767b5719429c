"""From signs to findings: symptom, evidence, cause, remedy."""
