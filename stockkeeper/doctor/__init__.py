"""`stockkeeper doctor`: what it looks at. Each look gives findings, and a finding says what to do."""
