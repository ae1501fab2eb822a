"""Which training examples explain a prediction: flags, plan and page."""
